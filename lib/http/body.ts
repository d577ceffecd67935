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

const FIRST_BYTES = 64 * 1024

/**
 * Memory for one body after another: it grows to the largest. What `bytes` hands out is good until the next `clear`; whoever keeps a body longer copies it.
 * A buffer serves one exchange at a time, and none after an exchange that failed: its body may still be on the way.
 */
export class BodyBuffer {
  #memory = Buffer.allocUnsafeSlow(FIRST_BYTES)
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
    const grown = Buffer.allocUnsafeSlow(Math.max(bytes, this.#memory.length * 2))
    this.#memory.copy(grown, 0, 0, this.#length)
    this.#memory = grown
  }

  append(chunk: Buffer): void {
    this.reserve(this.#length + chunk.length)
    chunk.copy(this.#memory, this.#length)
    this.#length += chunk.length
  }
}

/**
 * The whole body as it came. A declared length is allocated once and filled; an undeclared one is collected.
 *
 * @param into where the body goes instead of into memory of its own
 * Errors: too_large past `bytesMax` (before anything is read where the length is declared), canceled where the client went away.
 */
export function readBody(request: IncomingMessage, bytesMax: number, into?: BodyBuffer): Promise<Buffer> {
  const declared = Number(request.headers['content-length'] ?? Number.NaN)
  if (declared > bytesMax) return Promise.reject(bodyTooLarge(bytesMax))
  return new Promise((resolve, reject) => {
    const body = into === undefined ? new NewBody(declared) : into
    if (into !== undefined) {
      into.clear()
      if (!Number.isNaN(declared)) into.reserve(declared)
    }
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= bytesMax) return body.append(chunk)
      request.removeAllListeners('data')
      request.resume()
      reject(bodyTooLarge(bytesMax))
    })
    request.on('end', () => resolve(body.bytes))
    request.on('error', (error) =>
      reject(new SightlineError('canceled', `cannot read the request's body: ${error.message}`, { cause: error })),
    )
    request.on('aborted', () => reject(new SightlineError('canceled', 'cannot read the request: the client went away')))
  })
}

/** Memory of a body that its reader may keep. */
class NewBody {
  readonly #chunks: Buffer[] = []
  readonly #whole: Buffer | undefined
  #length = 0

  /** @param declared NaN where the length isn't known */
  constructor(declared: number) {
    this.#whole = Number.isNaN(declared) ? undefined : Buffer.allocUnsafe(declared)
  }

  append(chunk: Buffer): void {
    if (this.#whole === undefined) this.#chunks.push(chunk)
    else chunk.copy(this.#whole, this.#length)
    this.#length += chunk.length
  }

  get bytes(): Buffer {
    return this.#whole === undefined ? Buffer.concat(this.#chunks) : this.#whole.subarray(0, this.#length)
  }
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
