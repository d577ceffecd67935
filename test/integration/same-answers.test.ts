/**
 * The same data over every road: in one process, over HTTP, over Kafka to one node and to two, and with partitions that moved in the middle of it. Fifty queries of all three
 * languages have the same answers everywhere. And what others write into the input topics comes out like what they push.
 */
import { ExportResultCode } from '@opentelemetry/core'
import { ProtobufLogsSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../harness/eventually.ts'
import { comparable, pushesOf, queriesOf, STEPS } from '../harness/fleet-data.ts'
import { KafkaServer, whyNoKafka } from '../harness/kafka.ts'
import { SightlineProcess } from '../harness/sightline.ts'
