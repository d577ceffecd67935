/**
 * Container log files as a kubelet and its runtime write them: `<pods>/<namespace>_<pod>_<uid>/<container>/0.log`, a CRI line for each line of
 * output (`<time> stdout F <text>`), lines over 16 KiB in pieces (`P … F`), rotation by renaming.
 */
import { closeSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const PIECE_BYTES_MAX = 16 * 1024
const FILE_BYTES_MAX = 10 * 1024 * 1024
const ROTATED_FILES_MAX = 3

export class ContainerLog {
  readonly dir: string
  #fd: number
  #bytes = 0
  #rest: Record<'stdout' | 'stderr', Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) }

  constructor(podsDir: string, { namespace, pod, uid, container }: { namespace: string; pod: string; uid: string; container: string }) {
    this.dir = join(podsDir, `${namespace}_${pod}_${uid}`, container)
    mkdirSync(this.dir, { recursive: true })
    this.#fd = openSync(this.path, 'a')
  }

  get path(): string {
    return join(this.dir, '0.log')
  }

  /** Bytes of the container's output, as they come. */
  write(stream: 'stdout' | 'stderr', chunk: Buffer): void {
    let text = Buffer.concat([this.#rest[stream], chunk])
    let out = ''
    for (;;) {
      const newline = text.indexOf(10)
      const isFull = newline !== -1 && newline <= PIECE_BYTES_MAX
      if (!isFull && text.length <= PIECE_BYTES_MAX) break
      const end = isFull ? newline : PIECE_BYTES_MAX
      out += `${timestamp()} ${stream} ${isFull ? 'F' : 'P'} ${text.toString('latin1', 0, end)}\n`
      text = text.subarray(isFull ? end + 1 : end)
    }
    this.#rest[stream] = text
    if (out === '') return
    this.#bytes += writeSync(this.#fd, Buffer.from(out, 'latin1'))
    if (this.#bytes > FILE_BYTES_MAX) this.#rotate()
  }

  close(): void {
    closeSync(this.#fd)
  }

  #rotate(): void {
    closeSync(this.#fd)
    const stamp = new Date()
      .toISOString()
      .replaceAll(/[-:]|\..*/g, '')
      .replace('T', '-')
    renameSync(this.path, `${this.path}.${stamp}`)
    const rotated = readdirSync(this.dir)
      .filter((name) => name.startsWith('0.log.'))
      .toSorted()
    for (const name of rotated.slice(0, -ROTATED_FILES_MAX)) rmSync(join(this.dir, name))
    this.#fd = openSync(this.path, 'a')
    this.#bytes = 0
  }
}

/** RFC 3339 with nanoseconds; the clock has microseconds. */
function timestamp(): string {
  const micros = Math.round((performance.timeOrigin + performance.now()) * 1000)
  const seconds = new Date(Math.floor(micros / 1e6) * 1000).toISOString().slice(0, 19)
  return `${seconds}.${String(micros % 1e6).padStart(6, '0')}000Z`
}
