/**
 * The segment files of one store: which are in use, which wait to be deleted, and the offsets they cover. Logs and traces keep theirs here alike; what a block is
 * and how it is written is the schema's.
 *
 * A file in use is named by the next checkpoint. One that a merge or retention took out stays readable for scans that began before, and is deleted once a durable
 * manifest doesn't name it any longer (`release`).
 */
import { existsSync, mkdirSync, readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { CheckpointFiles, StoreFile, StoreOpenOptions, Task } from '../store/index.ts'
import { runToMerge } from './merge-run.ts'
import { SegmentReader, syncFolder } from './segment-file.ts'

/** What every footer has; schemas add to it. */
export interface SegmentFooter {
  readonly tenants: readonly {
    readonly tenant: string
    readonly blocks: readonly { readonly minMs: number; readonly maxMs: number }[]
  }[]
}

/** A block of a tenant: `stored` is set once it lies in a file. */
export interface SegmentRef<Footer extends SegmentFooter> {
  readonly stored: { readonly segment: SegmentReader<Footer> } | undefined
}

/** A tenant's blocks in a store. */
export interface BlockOwner<Ref> {
  blocks: Ref[]
  /** Closes the block being filled; it is one of `blocks` from then on. */
  seal(): void
}

/** Blocks of one tenant that go into one segment. */
export interface TenantSection<Owner, Ref> {
  readonly tenant: string
  readonly owner: Owner
  readonly refs: readonly Ref[]
}

export interface SegmentSchema<Footer extends SegmentFooter, Owner, Ref> {
  /** Of file names: `.logs`. */
  readonly suffix: string
  /** Writes a file, block after block; durable when it returns. */
  write(path: string, sections: readonly TenantSection<Owner, Ref>[]): Generator<void, SegmentReader<Footer>, void>
  /** The sections' blocks lie in the segment now. */
  adopt(segment: SegmentReader<Footer>, sections: readonly TenantSection<Owner, Ref>[]): void
  /** The segment's blocks become their tenants'. */
  load(segment: SegmentReader<Footer>): void
  /** The rows of some blocks in new ones. */
  merge(refs: readonly Ref[]): Task<Ref[]>
  /** The block is in use no longer. */
  forget(ref: Ref, owner: Owner): void
  /** Bytes before compression, which merging goes by. */
  rawBytes(segment: SegmentReader<Footer>): number
}

interface Held<Footer> {
  readonly segment: SegmentReader<Footer>
  readonly file: StoreFile
}

interface SavedState {
  readonly version: 1
  readonly nextFile: number
}

export class SegmentShelf<Footer extends SegmentFooter, Owner extends BlockOwner<Ref>, Ref extends SegmentRef<Footer>> {
  readonly #dir: string
  readonly #owners: ReadonlyMap<string, Owner>
  readonly #schema: SegmentSchema<Footer, Owner, Ref>
  /** In journal order. */
  #held: Held<Footer>[] = []
  #retired: Held<Footer>[] = []
  #nextFile = 1
  #fromOffset = 0
  #toOffset = 0
  #busy = false

  constructor(dir: string, owners: ReadonlyMap<string, Owner>, schema: SegmentSchema<Footer, Owner, Ref>) {
    this.#dir = dir
    this.#owners = owners
    this.#schema = schema
  }

  /** Loads what the manifest names and deletes what it doesn't, but for what is to be kept. Errors: corruption, naming the file. */
  open({ files, state, kept = [] }: Pick<StoreOpenOptions, 'files' | 'state' | 'kept'>): void {
    mkdirSync(this.#dir, { recursive: true })
    this.#nextFile = (state as SavedState | undefined)?.nextFile ?? 1
    const named = new Set([...files.map((file) => file.name), ...kept])
    for (const name of readdirSync(this.#dir)) {
      if (name.endsWith(this.#schema.suffix) && !named.has(name)) unlinkSync(join(this.#dir, name))
    }
    for (const file of files) {
      const segment = new SegmentReader<Footer>(join(this.#dir, file.name))
      this.#schema.load(segment)
      this.#held.push({ segment, file })
      this.#toOffset = Math.max(this.#toOffset, file.toOffset)
    }
    this.#fromOffset = this.#toOffset
  }

  /** A record was applied. */
  noteOffset(offset: number): void {
    this.#toOffset = offset + 1
  }

  /** Runs a scan while every file it may need stays open. */
  *pinned<T>(scan: Generator<T, void, void>): Generator<T, void, void> {
    const segments = this.#held.map((held) => held.segment)
    for (const segment of segments) segment.pin()
    try {
      yield* scan
    } finally {
      for (const segment of segments) segment.unpin()
    }
  }

  /** One file with everything that isn't in one yet. */
  async checkpoint(): Promise<CheckpointFiles> {
    const fromOffset = this.#fromOffset
    const toOffset = this.#toOffset
    const sections: TenantSection<Owner, Ref>[] = []
    for (const [tenant, owner] of this.#owners) {
      owner.seal()
      const refs = owner.blocks.filter((ref) => ref.stored === undefined)
      if (refs.length > 0) sections.push({ tenant, owner, refs })
    }
    if (sections.length > 0) {
      const name = this.#newName()
      const writing = this.#schema.write(join(this.#dir, name), sections)
      let step = writing.next()
      for (; step.done !== true; step = writing.next()) await new Promise((resolve) => setImmediate(resolve))
      this.#schema.adopt(step.value, sections)
      this.#held.push({ segment: step.value, file: fileOf(name, step.value, fromOffset, toOffset) })
      syncFolder(this.#dir)
    }
    this.#fromOffset = toOffset
    return { files: this.#held.map((held) => held.file), state: { version: 1, nextFile: this.#nextFile } satisfies SavedState }
  }

  #newName(): string {
    return `${String(this.#nextFile++).padStart(8, '0')}${this.#schema.suffix}`
  }

  release(): void {
    for (const { segment, file } of this.#retired.splice(0)) {
      segment.unpin()
      const path = join(this.#dir, file.name)
      if (existsSync(path)) unlinkSync(path)
    }
  }

  /** Merges a run of small neighbours into one file; true where there was one. */
  *compact(): Task<boolean> {
    const run = this.#busy ? undefined : runToMerge(this.#held.map(({ segment }) => this.#schema.rawBytes(segment)))
    if (run === undefined) return false
    this.#busy = true
    try {
      const inputs = this.#held.slice(run.from, run.to)
      const merging = new Set(inputs.map((held) => held.segment))
      const sections: (TenantSection<Owner, Ref> & { readonly old: ReadonlySet<Ref> })[] = []
      for (const [tenant, owner] of this.#owners) {
        const old = owner.blocks.filter((ref) => ref.stored !== undefined && merging.has(ref.stored.segment))
        if (old.length > 0) sections.push({ tenant, owner, old: new Set(old), refs: yield* this.#schema.merge(old) })
      }
      const name = this.#newName()
      const segment = yield* this.#schema.write(join(this.#dir, name), sections)
      syncFolder(this.#dir)
      this.#schema.adopt(segment, sections)
      for (const { owner, old, refs } of sections) {
        const at = owner.blocks.findIndex((ref) => old.has(ref))
        for (const ref of old) this.#schema.forget(ref, owner)
        owner.blocks = [...owner.blocks.slice(0, at), ...refs, ...owner.blocks.slice(at).filter((ref) => !old.has(ref))]
      }
      const file = fileOf(name, segment, inputs[0]!.file.fromOffset, inputs.at(-1)!.file.toOffset)
      this.#held.splice(this.#held.indexOf(inputs[0]!), inputs.length, { segment, file })
      this.#retired.push(...inputs)
      return true
    } finally {
      this.#busy = false
    }
  }

  /** Takes out files of which nothing is newer than its tenant's cut-off; returns their bytes. */
  dropBefore(cutoffMs: (tenant: string) => number): number {
    // A merge under way holds its inputs; what it makes is looked at next time.
    if (this.#busy) return 0
    const gone = this.#held.filter(({ segment }) =>
      segment.footer.tenants.every(({ tenant, blocks }) => blocks.every((block) => block.maxMs < cutoffMs(tenant))),
    )
    if (gone.length === 0) return 0
    const segments = new Set(gone.map((held) => held.segment))
    for (const owner of this.#owners.values()) {
      for (const ref of owner.blocks) if (ref.stored !== undefined && segments.has(ref.stored.segment)) this.#schema.forget(ref, owner)
      owner.blocks = owner.blocks.filter((ref) => ref.stored === undefined || !segments.has(ref.stored.segment))
    }
    this.#held = this.#held.filter((held) => !segments.has(held.segment))
    this.#retired.push(...gone)
    return gone.reduce((sum, { file }) => sum + file.bytes, 0)
  }

  close(): void {
    for (const { segment } of [...this.#held, ...this.#retired]) segment.unpin()
    this.#held = []
    this.#retired = []
  }
}

function fileOf<Footer extends SegmentFooter>(
  name: string,
  segment: SegmentReader<Footer>,
  fromOffset: number,
  toOffset: number,
): StoreFile {
  const blocks = segment.footer.tenants.flatMap((tenant) => tenant.blocks)
  return {
    name,
    bytes: segment.bytes,
    fromOffset,
    toOffset,
    minMs: blocks.reduce((min, block) => Math.min(min, block.minMs), Infinity),
    maxMs: blocks.reduce((max, block) => Math.max(max, block.maxMs), -Infinity),
  }
}
