import { compressSync } from 'snappy'

/** One block. Cost: about a nanosecond a byte on the calling thread. */
export function snappyEncode(bytes: Uint8Array): Uint8Array {
  return compressSync(bytes)
}
