import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../../src/main/ports.ts'

const run = promisify(execFile)
const motoVersion = '5.2.5'

export const storeKeys = { AWS_ACCESS_KEY_ID: 'a-key-of-the-test', AWS_SECRET_ACCESS_KEY: 'a-secret-of-the-test' }

/** What a client of it needs besides the keys. Nothing here may ask a cloud's address for who we are. */
export const storeEnv = (port: number) => ({
  AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
  AWS_DEFAULT_REGION: 'us-east-1',
  AWS_EC2_METADATA_DISABLED: 'true',
  RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING: '0',
})

export interface Store {
  /** Makes the bucket and puts every file of the folder into it. */
  fill(bucket: string, prefix: string, folder: string): Promise<void>
  close(): Promise<void>
}

const filling = `import boto3, pathlib, sys
bucket, prefix, folder = sys.argv[1:]
store = boto3.client("s3")
store.create_bucket(Bucket=bucket)
for file in pathlib.Path(folder).iterdir():
    store.upload_file(str(file), bucket, f"{prefix}/{file.name}")
`

/** A test server that speaks S3, which others keep: installed beside what was installed, and started on loopback. */
export async function startStore(
  env: string,
  dir: string,
  port: number,
  variables: Record<string, string>,
): Promise<Store> {
  const options = { env: { ...process.env, ...variables, ...storeEnv(port), ...storeKeys } }
  const moto = join(dir, 'moto')
  await run(join(env, 'bin/uv'), ['venv', '-q', '--python', join(env, 'bin/python'), moto], options)
  const python = join(moto, 'bin/python')
  await run(
    join(env, 'bin/uv'),
    ['pip', 'install', '-q', '--python', python, `moto[s3,server]==${motoVersion}`],
    options,
  )
  const server: ChildProcess = spawn(join(moto, 'bin/moto_server'), ['-H', '127.0.0.1', '-p', String(port)], {
    ...options,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  // It says so on standard error once it listens.
  await new Promise<void>((resolve, reject) => {
    server.stderr?.on('data', (chunk: Buffer) => chunk.toString().includes('Running on') && resolve())
    server.once('exit', (code) => reject(new Error(`the store ended with ${code}`)))
  })
  return {
    fill: async (...args) => void (await run(join(env, 'bin/python'), ['-c', filling, ...args], options)),
    async close() {
      const ended = once(server, 'exit')
      server.kill('SIGTERM')
      await ended
    },
  }
}

export const storePort = (): Promise<number> => freePort('127.0.0.1')
