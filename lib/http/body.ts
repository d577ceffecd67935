/** Request bodies: read once into one buffer, bounded, with gzip, deflate and zstd undone. */
import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip, inflate, zstdDecompress } from 'node:zlib'
import { SightlineError } from '../runtime/errors.ts'

const undo = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  zstd: promisify(zstdDecompress),
} as const

/**
 * The whole body as it came. A declared length is allocated once and filled; an undeclared one is collected.
 * Errors: too_large past `bytesMax` (before anything is read where the length is declared), canceled where the client went away.
 */
export function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const declared = Number(request.headers['content-length'] ?? Number.NaN)
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
    request.on('error', (error) =>
      reject(new SightlineError('canceled', `cannot read the request's body: ${error.message}`, { cause: error })),
    )
    request.on('aborted', () => reject(new SightlineError('canceled', 'cannot read the request: the client went away')))
  })
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
