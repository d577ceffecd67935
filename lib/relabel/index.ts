/**
 * Relabeling: rules that keep, drop and rewrite label sets, for targets, scraped series, alerts and remote write. A rule list is
 * compiled once (`createRelabeler`) and is then a pure function. Patterns are RE2's, anchored, in linear time.
 */
export { createRelabeler, type Relabeler } from './relabel.ts'
