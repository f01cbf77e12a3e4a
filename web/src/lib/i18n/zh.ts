import { canvas } from './canvas.zh'
import { explore } from './explore.zh'
import { gallery } from './gallery.zh'
import { jobs } from './jobs.zh'
import { marks } from './marks.zh'
import { pictures } from './pictures.zh'
import { shell } from './shell.zh'
import { tasks } from './tasks.zh'
import { train } from './train.zh'
import { verify } from './verify.zh'

export const zh = { shell, jobs, pictures, train, explore, canvas, gallery, verify, marks }
export { tasks }
