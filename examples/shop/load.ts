/**
 * Customers: `node load.ts --url FRONTEND --rate 4`. Each looks at a few products, puts some into a basket and most order it. The rate is of customers
 * a second; those under way are bounded, so a slow shop gets fewer, not a pile.
 */
import { parseArgs } from 'node:util'

const UNDER_WAY_MAX = 50
const TIMEOUT_MS = 10_000

const { values } = parseArgs({ options: { url: { type: 'string' }, rate: { type: 'string', default: '4' } } })
if (values.url === undefined) throw new Error('cannot start the load: name the frontend with --url')
const base = values.url
const rate = Number(values.rate)
if (!(rate > 0 && rate <= 1000)) throw new Error(`cannot use --rate ${values.rate}: between 0 and 1000 customers a second`)

async function request(method: 'GET' | 'POST', path: string, body?: object): Promise<Record<string, unknown>> {
  const response = await fetch(new URL(path, base), {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  return (await response.json()) as Record<string, unknown>
}

function pick<T>(from: readonly T[]): T {
  return from[Math.floor(Math.random() * from.length)]!
}

async function customer(): Promise<void> {
  const products = (await request('GET', '/'))['products'] as string[]
  const basket = crypto.randomUUID()
  const wanted = 1 + Math.floor(Math.random() * 4)
  for (let i = 0; i < wanted; i++) {
    const product = pick(products)
    await request('GET', `/product?name=${encodeURIComponent(product)}`)
    await request('POST', '/basket', { basket, product })
  }
  if (Math.random() < 0.8) await request('POST', '/checkout', { basket })
}

let underWay = 0
const timer = setInterval(() => {
  if (underWay >= UNDER_WAY_MAX) return
  underWay++
  // A customer whose request fails goes away; the shop counts why.
  void customer()
    .catch(() => {})
    .finally(() => underWay--)
}, 1000 / rate)

const stop = (): void => {
  clearInterval(timer)
  process.exit(0)
}
process.once('SIGTERM', stop)
process.once('SIGINT', stop)
process.once('disconnect', stop)
