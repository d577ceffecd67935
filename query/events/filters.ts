/**
 * What a block does not contain, in a few bits: so that a search for a rare text reads few blocks and one for an absent text none.
 *
 * Two filters over the same bytes. The token filter is a bloom filter over whole tokens (runs of ASCII letters and digits, and bytes above 127), ten bits
 * for each distinct one. The gram filter is a bitmap over hashes of every four bytes, for the pieces of a needle that may lie inside a longer
 * token; a quarter of a bit a byte. A needle is absent for certain where one of its inner tokens or grams is.
 *
 *   filter   | u32 tokenWords | token words (u32 each) | gram words (u32 each, a power of two of them) |
 */
const TOKEN_BITS = 10
const PROBES = 4
const GRAM_BYTES = 4
/** Bytes of text for each bit of the gram filter. */
const BYTES_PER_GRAM_BIT = 4

/** FNV's offset basis, as a signed number. */
const OFFSET = 0x811c9dc5 | 0

const IS_TOKEN = new Uint8Array(256)
for (let byte = 0; byte < 256; byte++) {
  const isAlnum = (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122)
  IS_TOKEN[byte] = isAlnum || byte >= 128 ? 1 : 0
}

/** Filters of some bytes. Cost: 2–3 ns a byte. */
export function buildFilter(bytes: Uint8Array): Uint8Array {
  const tokens = distinctTokens(bytes)
  const tokenWords = Math.max(1, Math.ceil((tokens.length * TOKEN_BITS) / 32))
  const gramWords = gramWordsFor(bytes.length)
  const out = new Uint32Array(1 + tokenWords + gramWords)
  out[0] = tokenWords
  addTokens(tokens, new Int32Array(out.buffer, 4, tokenWords))
  addGrams(bytes, new Int32Array(out.buffer, (1 + tokenWords) * 4, gramWords))
  return new Uint8Array(out.buffer)
}

/** Signed words: what is read from unsigned ones may be a double, and every bit operation would convert it (measured: a third of the time). */
function addGrams(bytes: Uint8Array, grams: Int32Array): void {
  const shift = 32 - Math.log2(grams.length * 32)
  let gram = 0
  for (let i = 0; i < bytes.length; i++) {
    gram = (gram >>> 8) | (bytes[i]! << 24)
    if (i < GRAM_BYTES - 1) continue
    const bit = Math.imul(gram, 0x9e3779b1) >>> shift
    grams[bit >>> 5] = grams[bit >>> 5]! | (1 << (bit & 31))
  }
}

/** False where the bytes the filter was built from do not contain the needle; true where they may. */
export function mayContain(filter: Uint8Array, needle: Uint8Array): boolean {
  const words = wordsOf(filter)
  const tokenWords = words[0]!
  let at = 0
  while (at < needle.length) {
    if (IS_TOKEN[needle[at]!] === 0) {
      at++
      continue
    }
    const start = at
    let hash = OFFSET
    for (; at < needle.length && IS_TOKEN[needle[at]!] === 1; at++) hash = Math.imul(hash ^ needle[at]!, 0x01000193)
    // A run at an edge of the needle may be a part of a longer token.
    if (start > 0 && at < needle.length && !hasToken(words, tokenWords, hash)) return false
  }
  const base = 1 + tokenWords
  const shift = 32 - Math.log2((words.length - base) * 32)
  let gram = 0
  for (let i = 0; i < needle.length; i++) {
    gram = (gram >>> 8) | (needle[i]! << 24)
    if (i < GRAM_BYTES - 1) continue
    const bit = Math.imul(gram, 0x9e3779b1) >>> shift
    if ((words[base + (bit >>> 5)]! & (1 << (bit & 31))) === 0) return false
  }
  return true
}

/** True where the whole text may be one of the tokens, or a sequence of them: for values that were filtered one by one. */
export function mayContainValue(filter: Uint8Array, value: string): boolean {
  // Values are laid out with a separator on both sides, so that their outer tokens are whole.
  return mayContain(filter, Buffer.from(`\n${value}\n`))
}

function wordsOf(filter: Uint8Array): Uint32Array {
  if (filter.byteOffset % 4 === 0) return new Uint32Array(filter.buffer, filter.byteOffset, filter.length >>> 2)
  return new Uint32Array(filter.slice().buffer)
}

function gramWordsFor(bytes: number): number {
  return 2 ** Math.max(3, Math.ceil(Math.log2(Math.max(1, bytes) / BYTES_PER_GRAM_BIT / 32)))
}

/** Hashes of the distinct tokens, in an open-addressing table that doubles when half full. Signed, as `addGrams` explains. */
function distinctTokens(bytes: Uint8Array): Int32Array {
  let table = new Int32Array(4096)
  let count = 0
  let hash = OFFSET
  let inToken = false
  for (let i = 0; i <= bytes.length; i++) {
    if (i < bytes.length && IS_TOKEN[bytes[i]!] === 1) {
      hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
      inToken = true
      continue
    }
    if (!inToken) continue
    // 0 marks an empty slot: the one token that hashes to it shares the slot of 1.
    if (insert(table, hash || 1)) count++
    if (count * 2 > table.length) table = grown(table)
    hash = OFFSET
    inToken = false
  }
  return table.filter((entry) => entry !== 0)
}

function insert(table: Int32Array, hash: number): boolean {
  const mask = table.length - 1
  let at = (Math.imul(hash, 0x9e3779b1) >>> 8) & mask
  for (; table[at] !== 0; at = (at + 1) & mask) if (table[at] === hash) return false
  table[at] = hash
  return true
}

function grown(table: Int32Array): Int32Array<ArrayBuffer> {
  const next = new Int32Array(table.length * 2)
  for (const hash of table) if (hash !== 0) insert(next, hash)
  return next
}

function addTokens(tokens: Int32Array, words: Int32Array): void {
  const bits = words.length * 32
  for (const hash of tokens) {
    const step = Math.imul(hash, 0x85ebca6b) | 1
    let probe = hash
    for (let i = 0; i < PROBES; i++) {
      const bit = bitOf(probe, bits)
      words[bit >>> 5] = words[bit >>> 5]! | (1 << (bit & 31))
      probe = (probe + step) | 0
    }
  }
}

/** A probe's place among `bits`: its share of 2^32, which is faster than a remainder. */
function bitOf(probe: number, bits: number): number {
  return ((probe >>> 0) * bits * 2 ** -32) | 0
}

function hasToken(words: Uint32Array, tokenWords: number, hash: number): boolean {
  const known = hash || 1
  const step = Math.imul(known, 0x85ebca6b) | 1
  let probe = known
  for (let i = 0; i < PROBES; i++) {
    const bit = bitOf(probe, tokenWords * 32)
    if ((words[1 + (bit >>> 5)]! & (1 << (bit & 31))) === 0) return false
    probe = (probe + step) | 0
  }
  return true
}
