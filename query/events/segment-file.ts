/**
 * An immutable file of sections:
 *
 *   'SLEVENT' 0x01 | section | section | … | footer | u32 footerBytes | u32 crc32(footer) | 'SLEVENT' 0x01
 *
 * A section is bytes with a codec byte in front (0 raw, 1 zstd) and is named by its place (offset, length, checksum, raw length) in the footer, which is zstd
 * JSON of whatever its schema keeps there. The last byte of the magic is the format version; an unknown one is refused by name.
 */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { crc32, zstdCompressSync, zstdDecompressSync, constants } from 'node:zlib'
import { SightlineError } from '../../lib/runtime/errors.ts'

const MAGIC = Buffer.from('SLEVENT\u0001', 'latin1')
const VERSION = 1
const TRAILER_BYTES = 8 + MAGIC.length
const RAW = 0
const ZSTD = 1
const ZSTD_LEVEL_1 = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
/** A section is never larger than this once decompressed: damage can't make us allocate more. */
const SECTION_BYTES_MAX = 256 * 1024 * 1024

export interface SectionPlace {
  readonly at: number
  readonly bytes: number
  readonly crc: number
  readonly rawBytes: number
}

/** Writes a segment file; durable once `finish` returns. */
export class SegmentWriter {
  readonly #fd: number
  #at = 0

  constructor(path: string) {
    this.#fd = openSync(path, 'wx')
    this.#write(MAGIC)
  }

  section(raw: Uint8Array, codec: 'raw' | 'zstd'): SectionPlace {
    const body = codec === 'raw' ? raw : zstdCompressSync(raw, ZSTD_LEVEL_1)
    const place = { at: this.#at, bytes: body.length + 1, crc: crc32(body), rawBytes: raw.length }
    this.#write(Uint8Array.of(codec === 'raw' ? RAW : ZSTD))
    this.#write(body)
    return place
  }

  /** The file's length. */
  finish(footer: unknown): number {
    const body = zstdCompressSync(Buffer.from(JSON.stringify(footer)), ZSTD_LEVEL_1)
    const trailer = Buffer.alloc(8)
    trailer.writeUInt32LE(body.length, 0)
    trailer.writeUInt32LE(crc32(body), 4)
    this.#write(body)
    this.#write(trailer)
    this.#write(MAGIC)
    fsyncSync(this.#fd)
    closeSync(this.#fd)
    return this.#at
  }

  #write(bytes: Uint8Array): void {
    let done = 0
    while (done < bytes.length) done += writeSync(this.#fd, bytes, done)
    this.#at += bytes.length
  }
}

/** An open segment file. It stays readable while it is pinned, also after it was deleted. */
export class SegmentReader<Footer> {
  readonly path: string
  readonly bytes: number
  readonly footer: Footer
  readonly #fd: number
  #pins = 1

  /** Errors: corruption, naming the file: not a segment, another version, a wrong checksum. */
  constructor(path: string) {
    this.path = path
    this.#fd = openSync(path, 'r')
    this.bytes = fstatSync(this.#fd).size
    const magic = this.#read(0, Math.min(MAGIC.length, this.bytes))
    if (!magic.subarray(0, 7).equals(MAGIC.subarray(0, 7))) throw this.#damaged('not a segment file')
    if (magic[7] !== VERSION) throw this.#damaged(`format version ${magic[7]} is unknown, this program knows ${VERSION}`)
    const trailer = this.#read(this.bytes - TRAILER_BYTES, TRAILER_BYTES)
    const footerBytes = trailer.readUInt32LE(0)
    if (!trailer.subarray(8).equals(MAGIC) || footerBytes > this.bytes - TRAILER_BYTES) throw this.#damaged('it has no end')
    const footer = this.#read(this.bytes - TRAILER_BYTES - footerBytes, footerBytes)
    if (crc32(footer) !== trailer.readUInt32LE(4)) throw this.#damaged('the checksum of its footer is wrong')
    this.footer = JSON.parse(zstdDecompressSync(footer, { maxOutputLength: SECTION_BYTES_MAX }).toString()) as Footer
  }

  section(place: SectionPlace): Buffer {
    const stored = this.#read(place.at, place.bytes)
    const body = stored.subarray(1)
    if (crc32(body) !== place.crc) throw this.#damaged(`the checksum of the section at ${place.at} is wrong`)
    if (stored[0] === RAW) return body
    if (stored[0] !== ZSTD) throw this.#damaged(`codec ${stored[0]} is unknown`)
    return zstdDecompressSync(body, { maxOutputLength: SECTION_BYTES_MAX })
  }

  pin(): void {
    this.#pins++
  }

  /** The last one closes the file. */
  unpin(): void {
    if (--this.#pins === 0) closeSync(this.#fd)
  }

  #read(at: number, bytes: number): Buffer {
    const out = Buffer.allocUnsafe(bytes)
    const got = at < 0 ? 0 : readSync(this.#fd, out, 0, bytes, at)
    if (got !== bytes) throw this.#damaged(`it ends at byte ${this.bytes}, ${bytes} bytes at ${at} were expected`)
    return out
  }

  #damaged(cause: string): SightlineError {
    return new SightlineError('corruption', `cannot read segment ${this.path}: ${cause}`)
  }
}

/** Names of new files in the folder are durable once it returns. */
export function syncFolder(dir: string): void {
  const fd = openSync(dir, 'r')
  fsyncSync(fd)
  closeSync(fd)
}
