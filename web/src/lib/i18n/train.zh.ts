import type { train as en } from './train.en'
import type { Same } from './same'

export const train: Same<typeof en> = {
  title: '训练',
  sub: '用数据集训练生成器。',
}
