import { canvas } from './canvas.en'
import { explore } from './explore.en'
import { gallery } from './gallery.en'
import { jobs } from './jobs.en'
import { marks } from './marks.en'
import { pictures } from './pictures.en'
import { shell } from './shell.en'
import { train } from './train.en'
import { verify } from './verify.en'

export const en = { shell, jobs, pictures, train, explore, canvas, gallery, verify, marks }
