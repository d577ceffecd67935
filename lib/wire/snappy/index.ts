/**
 * Snappy's block format: what remote write and Loki push put around their protobuf. Not the framed format.
 *
 * Decoding is our own, because it must refuse a lie before memory is spent on it: the length a block declares is checked against the
 * caller's limit, then every copy against the bytes that are there. Any bytes give a value or an error of kind `bad_data` or `too_large`,
 * in time linear in the declared length. Encoding is the `snappy` package's (owner of the package: this folder).
 */
export { snappyDecode } from './decode.ts'
export { snappyEncode } from './encode.ts'
