import type { canvas as en } from './canvas.en'
import type { Same } from './same'

export const canvas: Same<typeof en> = {
  title: '画布',
  sub: '绘制、修复与合成。',
}
