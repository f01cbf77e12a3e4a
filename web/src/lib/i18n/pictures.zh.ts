import type { pictures as en } from './pictures.en'
import type { Same } from './same'

export const pictures: Same<typeof en> = {
  title: '图片',
  sub: '生成器学习所用的图片。',
}
