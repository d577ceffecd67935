/**
 * Discovery: static lists, files and HTTP to target groups. One more kind is one more loop that publishes its whole list; the union goes to
 * the scrape pool, which starts and stops targets by difference.
 */
export { discover, type DiscoveryContext, type TargetGroup } from './discovery.ts'
