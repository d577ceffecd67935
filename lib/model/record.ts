/** The largest payload of one journal record; larger batches are split before. A Kafka broker's default limit is 1 MiB a message, headers included. */
export const RECORD_BYTES_MAX = 900 * 1024
