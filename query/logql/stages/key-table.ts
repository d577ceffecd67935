/**
 * Field names seen before: bytes to the string they are, and to the label name made of it. Lines of a stream repeat their keys, so that after the first
 * line a key costs a hash and a comparison. A slot holds one key; the newer one stays.
 */
import { sanitizeName } from './names.ts'

const SLOTS = 1024
const KEY_BYTES_MAX = 64

export class KeyTable {
  readonly #keys: (string | undefined)[] = Array.from({ length: SLOTS })
  readonly #names: string[] = Array.from({ length: SLOTS }, () => '')

  /** The part of a label name for the key in [start, end), which is ASCII without escapes; undefined where it is too long to be kept. */
  nameOf(bytes: Buffer, start: number, end: number): string | undefined {
    const length = end - start
    if (length > KEY_BYTES_MAX) return undefined
    let hash = length
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + bytes[i]!) | 0
    const slot = (hash ^ (hash >>> 10)) & (SLOTS - 1)
    const known = this.#keys[slot]
    if (known !== undefined && isSame(known, bytes, start, length)) return this.#names[slot]!
    const key = bytes.toString('latin1', start, end)
    this.#keys[slot] = key
    return (this.#names[slot] = sanitizeName(key, false))
  }
}

function isSame(text: string, bytes: Buffer, start: number, length: number): boolean {
  if (text.length !== length) return false
  for (let i = 0; i < length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false
  return true
}
