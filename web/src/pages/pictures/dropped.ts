/** Files out of a drop or a file dialog, with the folders that they lie in. */

export interface Found {
  /** With its folders, as in flowers/rose/01.png. */
  path: string
  file: File
}

const HIDDEN = /^(\.|__MACOSX$|Thumbs\.db$|desktop\.ini$)/i

function read(reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> {
  return new Promise((resolve, reject) => reader.readEntries(resolve, reject))
}

async function walk(entry: FileSystemEntry, before: string, into: Found[]): Promise<void> {
  if (HIDDEN.test(entry.name)) return
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))
    into.push({ path: before + entry.name, file })
  } else if (entry.isDirectory) {
    const reader = (entry as FileSystemDirectoryEntry).createReader()
    for (let some = await read(reader); some.length; some = await read(reader)) {
      for (const one of some) await walk(one, `${before}${entry.name}/`, into)
    }
  }
}

/** Whether a drag brings files. */
export const brings = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false

/** Everything that was dropped; folders are walked. Call it within the event: what it brings is gone afterwards. */
export async function dropped(data: DataTransfer): Promise<Found[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => !!entry)
  if (!entries.length) return picked(data.files)
  const found: Found[] = []
  for (const entry of entries) await walk(entry, '', found)
  return found
}

/** What a file dialog gave. */
export function picked(files: FileList | null): Found[] {
  return [...(files ?? [])]
    .map((file) => ({ path: file.webkitRelativePath || file.name, file }))
    .filter(({ path }) => !path.split('/').some((part) => HIDDEN.test(part)))
}

/** A name for the data set: that of the folder that holds all, or of the one archive. */
export function nameOf(found: Found[]): string {
  const tops = new Set(found.map(({ path }) => (path.includes('/') ? path.split('/')[0] : '')))
  const top = tops.size === 1 ? [...tops][0] : ''
  const text = top || (found.length === 1 ? found[0].file.name.replace(/(\.tar)?\.[^.]+$/i, '') : '')
  return text.normalize('NFC').toLowerCase().replace(/[^\p{L}\p{N}_.]+/gu, '-').slice(0, 48).replace(/^[-._]+|[-._]+$/g, '')
}
