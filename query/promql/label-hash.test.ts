import { expect, test } from 'vitest'
import { xxh64 } from './label-hash.ts'

test('known values of XXH64', () => {
  expect(xxh64(Buffer.from('')).toString(16)).toBe('ef46db3751d8e999')
  expect(xxh64(Buffer.from('a')).toString(16)).toBe('d24ec4f1a98c6e5b')
  expect(xxh64(Buffer.from('abc')).toString(16)).toBe('44bc2cf5ad770999')
  expect(xxh64(Buffer.from('Nobody inspects the spammish repetition')).toString(16)).toBe('fbcea83c8a378bf1')
})
