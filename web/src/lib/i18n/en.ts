import { canvas } from './canvas.en'
import { explore } from './explore.en'
import { gallery } from './gallery.en'
import { jobs } from './jobs.en'
import { pictures } from './pictures.en'
import { shell } from './shell.en'
import { train } from './train.en'

export const en = { shell, jobs, pictures, train, explore, canvas, gallery }
