import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LineTexts } from './texts.ts'

const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

test('texts are found again as a map would find them, also after some are gone', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'ü'), maxLength: 9 })
  fc.assert(
    fc.property(fc.array(text, { maxLength: 300 }), fc.array(text, { maxLength: 30 }), (given, gone) => {
      const refs = new Map<string, number>()
      let texts = new LineTexts()
      for (const [ref, one] of given.entries()) {
        const bytes = Buffer.from(`<${one}>`)
        if (texts.find(bytes, 1, bytes.length - 1) !== -1) continue
        texts.add(bytes, 1, bytes.length - 1, ref)
        refs.set(one, ref)
      }
      expect(texts.size).toBe(refs.size)
      const goneRefs = new Set(gone.map((one) => refs.get(one)))
      const kept = texts.without((number) => goneRefs.has(texts.ref(number)))
      texts = kept.texts
      for (const [one, ref] of refs) {
        const bytes = Buffer.from(one)
        const number = texts.find(bytes, 0, bytes.length)
        expect(number === -1 ? undefined : texts.ref(number)).toBe(goneRefs.has(ref) ? undefined : ref)
      }
    }),
  )
})

test('a text is told from every other at its place', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(39), fc.nat(3), (bytes, changed, at) => {
      const texts = new LineTexts()
      const number = texts.add(Buffer.from(bytes), 0, bytes.length, 0)
      const body = Buffer.concat([Buffer.alloc(at), bytes, Buffer.from(' 1\n')])
      expect(texts.endIn(viewOf(body), at, number)).toBe(at + bytes.length)
      expect(texts.endIn(viewOf(body.subarray(0, at + bytes.length - 1)), at, number)).toBe(-1)
      body[at + (changed % bytes.length)]! ^= 1
      expect(texts.endIn(viewOf(body), at, number)).toBe(-1)
    }),
  )
})
