import type { z } from 'zod'
import { downloadIndex } from './artefacts.ts'
import { liveMessage, livePath, liveRequest } from './live.ts'
import { downloadPaths } from './paths.ts'

type Json = Record<string, unknown>

interface ToSchema {
  readonly input: (schema: z.ZodType) => Json
  readonly output: (schema: z.ZodType) => Json
}

/** The paths that are no calls of the contract: what agents download, and the live updates. */
export function morePaths({ input, output }: ToSchema, refused: Json): Record<string, Json> {
  const textHeader = (description: string) => ({ description, schema: { type: 'string' } })
  const parameter = (name: string) => ({ name, in: 'path', required: true, schema: { type: 'string' } })
  return {
    [downloadPaths.index]: {
      get: {
        operationId: 'downloadIndex',
        summary: 'The files of the agent that this control plane serves, with their SHA-256',
        security: [],
        responses: {
          200: { description: 'Done', content: { 'application/json': { schema: output(downloadIndex) } } },
          default: refused,
        },
      },
    },
    [downloadPaths.file.replace(':version', '{version}').replace(':file', '{file}')]: {
      get: {
        operationId: 'downloadFile',
        summary: 'One file that the index names',
        security: [],
        parameters: [parameter('version'), parameter('file')],
        responses: {
          200: {
            description: 'Done',
            headers: { etag: textHeader('Its SHA-256, in quotes'), 'x-sha256': textHeader('Its SHA-256') },
            content: { 'application/octet-stream': {} },
          },
          304: { description: 'Not changed since the one whose hash is in If-None-Match' },
          default: refused,
        },
      },
    },
    [livePath]: {
      get: {
        operationId: 'live',
        summary: 'Live updates: a WebSocket',
        description:
          'The first message says hello with the token of somebody who has a role; then launches, logs of nodes and the fleet ' +
          'are followed and left. Each is told whole at first, and then whenever it changes.',
        security: [],
        responses: { 101: { description: 'A WebSocket' }, default: refused },
        'x-messages': { sent: input(liveRequest), received: output(liveMessage) },
      },
    },
  }
}
