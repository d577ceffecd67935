/** Bodies of requests and answers: read once into one buffer, bounded, with gzip, deflate and zstd undone. */
import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip, inflate, zstdDecompress } from 'node:zlib'
import { SightlineError } from '../runtime/errors.ts'

const undo = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  zstd: promisify(zstdDecompress),
} as const

const GROWTH_BYTES_MIN = 16 * 1024

/**
 * Memory for one body after another: it grows to the largest. What `bytes` hands out is good until the next `clear`; whoever keeps a body longer copies it.
 * A buffer serves one exchange at a time, and none after an exchange that failed: its body may still be on the way.
 */
export class BodyBuffer {
  #memory = Buffer.allocUnsafeSlow(0)
  #length = 0

  get capacityBytes(): number {
    return this.#memory.length
  }

  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length)
  }

  clear(): void {
    this.#length = 0
  }

  reserve(bytes: number): void {
    if (bytes <= this.#memory.length) return
    const grown = Buffer.allocUnsafeSlow(bytes)
    this.#memory.copy(grown, 0, 0, this.#length)
    this.#memory = grown
  }

  append(chunk: Buffer): void {
    const bytes = this.#length + chunk.length
    if (bytes > this.#memory.length) this.reserve(Math.max(bytes, this.#memory.length * 2, GROWTH_BYTES_MIN))
    chunk.copy(this.#memory, this.#length)
    this.#length = bytes
  }
}

/**
 * The whole body of a request as it came. A declared length is allocated once and filled; an undeclared one is collected.
 * Errors: too_large past `bytesMax` (before anything is read where the length is declared), canceled where the client went away.
 */
export function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const declared = declaredBytes(request)
  if (declared > bytesMax) return Promise.reject(bodyTooLarge(bytesMax))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const into = Number.isNaN(declared) ? undefined : Buffer.allocUnsafe(declared)
    request.on('data', (chunk: Buffer) => {
      if (into !== undefined) chunk.copy(into, bytes)
      else chunks.push(chunk)
      bytes += chunk.length
      if (bytes > bytesMax) {
        request.removeAllListeners('data')
        request.resume()
        reject(bodyTooLarge(bytesMax))
      }
    })
    request.on('end', () => resolve(into === undefined ? Buffer.concat(chunks) : into.subarray(0, bytes)))
    rejectWhereCut(request, reject)
  })
}

/**
 * The whole body of an answer, copied chunk by chunk as it comes: its connection reads into memory that is used again (`connection.ts`), so a chunk is
 * good only while it is handed in, and none may wait in the stream. To be called in the event that hands out the answer.
 *
 * Errors: as in `readBody`.
 */
export function readAnswer(answer: IncomingMessage, bytesMax: number, into = new BodyBuffer()): Promise<Buffer> {
  const declared = declaredBytes(answer)
  into.clear()
  if (declared <= bytesMax) into.reserve(declared)
  const end = answer.push.bind(answer)
  return new Promise((resolve, reject) => {
    let left = bytesMax
    answer.push = (chunk: Buffer | null): boolean => {
      if (chunk === null) return end(null)
      left -= chunk.length
      if (left >= 0) into.append(chunk)
      else reject(bodyTooLarge(bytesMax))
      return true
    }
    if (declared > bytesMax) reject(bodyTooLarge(bytesMax))
    answer.on('end', () => resolve(into.bytes))
    rejectWhereCut(answer, reject)
    answer.resume()
  })
}

function declaredBytes({ headers }: IncomingMessage): number {
  return Number(headers['content-length'] ?? Number.NaN)
}

function rejectWhereCut(message: IncomingMessage, reject: (error: SightlineError) => void): void {
  message.on('error', (error) =>
    reject(new SightlineError('canceled', `cannot read the request's body: ${error.message}`, { cause: error })),
  )
  message.on('aborted', () => reject(new SightlineError('canceled', 'cannot read the request: the client went away')))
}

/** Undoes `content-encoding` (identity, gzip, deflate, zstd; snappy is the receivers' own). Errors: bad_data, too_large. */
export async function decompress(body: Buffer, encoding: string | undefined, bytesMax: number): Promise<Buffer> {
  const name = (encoding ?? 'identity').toLowerCase()
  if (name === 'identity' || name === '' || name === 'snappy') return body
  if (!(name in undo))
    throw new SightlineError('bad_data', `cannot read a body with content-encoding "${name}": gzip, deflate and zstd are known`)
  try {
    return await undo[name as keyof typeof undo](body, { maxOutputLength: bytesMax })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw bodyTooLarge(bytesMax)
    throw new SightlineError('bad_data', `cannot decompress the body: it is not valid ${name}`, { cause: error })
  }
}

function bodyTooLarge(bytesMax: number): SightlineError {
  return new SightlineError('too_large', `cannot take the request: its body is larger than ${bytesMax} bytes`)
}
