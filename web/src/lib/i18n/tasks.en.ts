/** English words for tasks, where the studio's own are the names of options. All else is made from those names. */

export interface TaskWords {
  names: Record<string, string>
  summaries: Record<string, string>
  /** By "task.field", or "*.field" for every task that has it. */
  fields: Record<string, { label: string; help?: string }>
  /** By "task.field.value", "field.value" or "value". */
  choices: Record<string, string>
  /** What progress counts in. */
  units: Record<string, string>
  /** Figures of a work: losses, distances. */
  facts: Record<string, string>
}

export const tasks: TaskWords = {
  names: {
    sample: 'Draw',
    directions: 'Find sliders',
    cutout: 'Cut out',
    explain: 'Explain',
    gather: 'Export',
    upscale: 'Enlarge',
    redraw: 'Draw again',
    invert: 'Find in the model',
    families: 'Model families',
    replay: 'Make again and compare',
    marks: 'Marks on pictures',
  },
  summaries: {},
  fields: {
    '*.run': { label: 'Model' },
    '*.runs': { label: 'Models' },
    '*.dataset': { label: 'Data set' },
    '*.data': { label: 'Data set' },
    '*.set': { label: 'Choices of the model' },
    '*.slide': { label: 'Sliders' },
    '*.fps': { label: 'Pictures a second' },
    '*.faithful': { label: 'Faithfulness' },
    '*.label_column': { label: 'Column of labels' },
    '*.images': { label: 'Pictures' },
    'gather.format': { label: 'Format', help: 'PNG for sheets and WebP for films if not given.' },
    'animate.format': { label: 'Format', help: 'Kind of film; WebP if not given.' },
    'restore.conserve': { label: 'Conserve', help: 'Leave every pixel outside the mask as it is, to the bit; tones are left alone, too.' },
    'finish.draft': { label: 'Drafts' },
    'translate.picture': { label: 'Pictures' },
    'redraw.picture': { label: 'Pictures' },
    'withdraw.picture': { label: 'Pictures' },
    'withdraw.dry_run': { label: 'Only list the runs' },
    'marks.profile': { label: 'Law' },
    'marks.text': { label: 'Words of the label' },
    'marks.corner': { label: 'Place of the label' },
    'marks.rights': { label: 'Copyright notice' },
    'marks.keep_days': { label: 'Days that the ledger is kept' },
    'marks.own_identity': { label: 'A key of Gesso’s own' },
    'invert.picture': { label: 'Pictures' },
    'outpaint.to': { label: 'New size' },
    'retarget.by': { label: 'Move by' },
    'train.images': { label: 'Pictures to show' },
    'train.source': { label: 'Second data set' },
    'train.resume': { label: 'Go on with' },
    'train.fork': { label: 'Begin from' },
    'train.set': { label: 'Choices of the family' },
    'measure.by': { label: 'Features' },
    'compare.by': { label: 'Features' },
    'originality.by': { label: 'Features' },
  },
  choices: {
    none: 'None', auto: 'Auto', cpu: 'CPU', cuda: 'CUDA', mps: 'MPS', png: 'PNG', jpg: 'JPEG', webp: 'WebP',
    avif: 'AVIF', gif: 'GIF', apng: 'APNG', mp4: 'MP4', webm: 'WebM', rgb: 'RGB', rgba: 'RGBA', zip: 'ZIP',
    fd: 'Fréchet distance', x: 'Left and right', y: 'Top and bottom', 'keep.last': 'The last', 'keep.best': 'The best',
    'crop.none': 'Squeeze', 'crop.centre': 'Centre', 'crop.smart': 'Smart', 'crop.pad': 'Pad', grey: 'Grey',
    'profile.eu': 'European Union', 'profile.cn': 'China', 'top-left': 'Top left', 'top-right': 'Top right',
    'bottom-left': 'Bottom left', 'bottom-right': 'Bottom right', on: 'On', off: 'Off', 'form.words': 'Sentences', 'form.json': 'JSON',
    'form.sprites': 'Sprite sheet', 'form.sheet': 'Contact sheet', 'form.film': 'Film', low: 'Low resolution',
    'side-by-side': 'Side by side', folders: 'Two folders', edges: 'Edges', noise: 'Noise', scratches: 'Scratches',
    masks: 'Masks', layout: 'Layout', train: 'Training', test: 'Test', all: 'All', mirror: 'Mirror', blend: 'Blend',
    breed: 'Breed', near: 'Near', cross: 'Cross', join: 'Join', left: 'Left', right: 'Right', top: 'Top',
    bottom: 'Bottom', middle: 'Middle', centre: 'Centre', smooth: 'Smooth', straight: 'Straight', linear: 'Linear',
    'in-out': 'In and out', own: 'One for each layer', shared: 'One for all', critic: 'Critic', labels: 'Labels',
    occlusion: 'Occlusion', gradients: 'Gradients', style: 'The style’s', content: 'The picture’s', both: 'Both',
    fill: 'Fill', denoise: 'Denoise', colourise: 'Colourise', enlarge: 'Enlarge', coverage: 'Coverage',
    'family.critic.own': 'Own', 'family.start.style': 'Style',
  },
  units: {},
  facts: { fd: 'Fréchet distance', fd_primer: 'Fréchet distance', fd_own: 'Fréchet distance', 'pictures/s': 'Pictures a second' },
}
