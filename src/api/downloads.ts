import { createReadStream } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Failure } from '../core/failure.ts'
import type { Artefact, ArtefactIndex } from '../wire/artefacts.ts'
import { downloadPaths } from '../wire/paths.ts'

export const downloadRoutes = {
  index: { method: 'GET', path: downloadPaths.index, access: 'anyone' },
  file: { method: 'GET', path: downloadPaths.file, access: 'anyone' },
} as const

const indexFile = 'index.json'
const isVersion = (text: string): boolean => /^\d+\.\d+\.\d+[\w.+-]*$/.test(text)

/**
 * Serves the built agent, and the versions before it that still lie there: machines that were launched by the one before
 * ask for theirs. Only files that an index names are served, so a path from outside is never opened.
 */
export function makeDownloads(agentDir: string) {
  async function indexIn(folder: string): Promise<ArtefactIndex | null> {
    const text = await readFile(join(folder, indexFile), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw new Error('the index of the agent cannot be read', { cause: error })
      return null
    })
    return text === null ? null : (JSON.parse(text) as ArtefactIndex)
  }

  async function versionsBeside(current: string): Promise<string[]> {
    const found = (await readdir(agentDir)).filter((name) => isVersion(name) && name !== current)
    const indexes = await Promise.all(found.map((version) => indexIn(join(agentDir, version))))
    return found.filter((_, i) => indexes[i] !== null)
  }

  return {
    async sendIndex(_request: FastifyRequest, reply: FastifyReply) {
      const index = await indexIn(agentDir)
      if (!index)
        throw new Failure('not_found', 'No agent was built here.', { remedy: 'Run `npm run build` on the server.' })
      return reply.header('cache-control', 'no-cache').send({ ...index, others: await versionsBeside(index.version) })
    },

    async sendFile(request: FastifyRequest, reply: FastifyReply) {
      const { version, file } = request.params as { version: string; file: string }
      const folder = join(agentDir, version)
      const index = isVersion(version) ? await indexIn(folder) : null
      reply.header('cache-control', 'no-cache')
      if (index && file === indexFile) return reply.send(index)
      const artefact = index?.artefacts.find((one) => one.file === file)
      if (!artefact) throw new Failure('not_found', 'There is no such file of the agent.')
      return send(join(folder, artefact.file), artefact, request, reply)
    },
  }
}

async function send(path: string, { sha256 }: Artefact, request: FastifyRequest, reply: FastifyReply) {
  const etag = `"${sha256}"`
  reply.header('etag', etag).header('x-sha256', sha256)
  if (request.headers['if-none-match'] === etag) return reply.code(304).send()
  const { size } = await stat(path)
  reply.header('content-length', size).type('application/octet-stream')
  return reply.send(createReadStream(path))
}
