import { expect, test } from 'vitest'
import { renderPage } from './index.ts'

test('the page shows what it is given, and nothing of it as markup', () => {
  const html = renderPage({
    version: '1.2.3',
    startedMs: 0,
    nowMs: 180_000,
    waiting: '',
    signals: [{ name: 'metrics', items: 12, bytes: 2048, itemsPerMinute: 4, refused: 0 }],
    journal: { bytes: 3 * 1024 * 1024, segments: 2 },
    targets: [{ scrapePool: 'node', scrapeUrl: 'http://a/metrics', health: 'down', lastError: '<script>alert(1)</script>' }],
    tails: [],
    alerts: [{ name: 'Broken', state: 'firing', labels: '{a="b"}', sinceMs: 0 }],
    addresses: [{ name: 'Tempo', url: 'http://127.0.0.1:1/tempo' }],
  })
  expect(html).toContain('running for 3 min')
  expect(html).toContain('<td>2.0 KiB</td>')
  expect(html).toContain('<span class="firing">firing</span>')
  expect(html).toContain('{a=&quot;b&quot;}')
  expect(html).toContain('&lt;script&gt;')
  expect(html).not.toContain('<script>')
})
