import type { gallery as en } from './gallery.en'
import type { Same } from './same'

export const gallery: Same<typeof en> = {
  title: '图库',
  sub: '你创作的全部作品。',
}
