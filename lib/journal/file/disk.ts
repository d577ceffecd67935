/**
 * The few file operations the journal's promises rest on, as an interface: the fault tests put a full disk or a failing fsync in its place.
 */
import { open, type FileHandle } from 'node:fs/promises'

export interface AppendFile {
  /** Writes all buffers at the end. */
  write(buffers: readonly Uint8Array[]): Promise<void>
  sync(): Promise<void>
  truncate(bytes: number): Promise<void>
  close(): Promise<void>
}

export interface JournalDisk {
  /** Opens for appending at `bytes`, making the file where it isn't. */
  openAppend(path: string, bytes: number): Promise<AppendFile>
  syncFolder(dir: string): Promise<void>
}

/** Linux' limit of buffers for one writev. */
const BUFFERS_MAX = 1024

export const realDisk: JournalDisk = {
  async openAppend(path, bytes) {
    const handle = await open(path, 'a')
    await handle.truncate(bytes)
    return new HandleFile(handle)
  },
  async syncFolder(dir) {
    const handle = await open(dir, 'r')
    await handle.sync()
    await handle.close()
  },
}

class HandleFile implements AppendFile {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async write(buffers: readonly Uint8Array[]): Promise<void> {
    for (let i = 0; i < buffers.length; i += BUFFERS_MAX) {
      let rest = buffers.slice(i, i + BUFFERS_MAX)
      let bytes = rest.reduce((sum, buffer) => sum + buffer.length, 0)
      while (bytes > 0) {
        const { bytesWritten } = await this.#handle.writev(rest)
        bytes -= bytesWritten
        if (bytes > 0) rest = afterBytes(rest, bytesWritten)
      }
    }
  }

  async sync(): Promise<void> {
    await this.#handle.datasync()
  }

  async truncate(bytes: number): Promise<void> {
    await this.#handle.truncate(bytes)
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

/** What is left of the buffers after a short write. */
function afterBytes(buffers: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const out: Uint8Array[] = []
  let skip = bytes
  for (const buffer of buffers) {
    if (skip >= buffer.length) skip -= buffer.length
    else {
      out.push(skip === 0 ? buffer : buffer.subarray(skip))
      skip = 0
    }
  }
  return out
}
