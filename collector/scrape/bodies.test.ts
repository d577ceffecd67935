import { expect, test } from 'vitest'
import { BodyPool } from './bodies.ts'

test('a buffer given back is taken again, and no buffer is out twice', () => {
  const pool = new BodyPool()
  const first = pool.take()
  const second = pool.take()
  expect(second).not.toBe(first)
  pool.give(first)
  pool.give(second)
  expect(pool.take()).toBe(second)
  expect(pool.take()).toBe(first)
  expect(pool.take()).not.toBe(first)
})

test('a buffer that would pass the limit is not kept', () => {
  const pool = new BodyPool(1024 * 1024)
  const small = pool.take()
  const large = pool.take()
  small.reserve(1000)
  large.reserve(1024 * 1024)
  pool.give(small)
  pool.give(large)
  expect(pool.take()).toBe(small)
  expect(pool.take()).not.toBe(large)
})
