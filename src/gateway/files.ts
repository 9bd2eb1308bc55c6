import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

let serial = 0

/** Puts `text` in the place of the file at once: whoever reads it, after whatever crash, finds the old or the new whole. */
export async function replaceFile(file: string, text: string): Promise<void> {
  serial += 1
  const fresh = `${file}.${process.pid}.${serial}.new`
  await writeSynced(fresh, text)
  await rename(fresh, file)
  // The name is in the folder, and that must reach the disk too.
  const folder = await open(dirname(file), 'r')
  await folder.sync().finally(() => folder.close())
}

async function writeSynced(file: string, text: string): Promise<void> {
  const handle = await open(file, 'w', 0o600)
  try {
    await handle.writeFile(text)
    await handle.datasync()
  } finally {
    await handle.close()
  }
}
