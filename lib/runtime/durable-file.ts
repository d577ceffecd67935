/** Small files that say where something stands: the old text or the new one is there, never half of either. */
import { mkdir, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Durable when it resolves. One writer a path. */
export async function writeDurably(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const next = await open(`${path}.next`, 'w')
  try {
    await next.writeFile(text)
    await next.sync()
  } finally {
    await next.close()
  }
  await rename(`${path}.next`, path)
}
