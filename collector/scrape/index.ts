/**
 * Scraping Prometheus endpoints.
 *
 * A pool a scrape configuration (`pool.ts`), a loop a target (`loop.ts`), the target's series from scrape to scrape (`samples.ts`). A scrape
 * is one row of the target's layout: the series of the body and the five report series share one timestamp. Series that don't come again,
 * targets that fail or go away get stale cells. What the journal does not take is counted and gone: a scrape can't be repeated.
 *
 * Cost of steady text: about a nanosecond a byte, and nothing per series but its value.
 */
export { createScraper, type Scraper, type TargetStatus } from './scraper.ts'
export type { PoolDeps } from './pool.ts'
