import OpenAI from 'openai'
import { type ChatRequest, runDemo } from '../cli/demo.ts'
import type { Chat } from '../cli/demo-text.ts'
import { outliveReaders, processTerminal } from '../cli/terminal.ts'
import { makeClient } from '../wire/client.ts'

outliveReaders()
process.exitCode = await runDemo(process.argv.slice(2), { terminal: processTerminal(), makeClient, chat })

async function chat({ baseUrl, apiKey, model, question, stream, onText, signal }: ChatRequest): Promise<Chat> {
  const openai = new OpenAI({ baseURL: baseUrl, apiKey })
  const body = { model, messages: [{ role: 'user' as const, content: question }], max_tokens: 60 }
  const from = performance.now()
  if (!stream) {
    const answer = await openai.chat.completions.create(body, { signal })
    const { prompt_tokens: promptTokens = 0, completion_tokens: completionTokens = 0 } = answer.usage ?? {}
    const text = answer.choices[0]?.message.content ?? ''
    return { text, promptTokens, completionTokens, firstTokenMs: null, totalMs: performance.now() - from }
  }
  const chunks = await openai.chat.completions.create(
    { ...body, stream: true, stream_options: { include_usage: true } },
    { signal },
  )
  let text = ''
  let firstTokenMs: number | null = null
  let usage: OpenAI.CompletionUsage | null | undefined
  for await (const chunk of chunks) {
    const piece = chunk.choices[0]?.delta.content ?? ''
    if (piece !== '') firstTokenMs ??= performance.now() - from
    text += piece
    onText(piece)
    usage = chunk.usage ?? usage
  }
  const { prompt_tokens: promptTokens = 0, completion_tokens: completionTokens = 0 } = usage ?? {}
  return { text, promptTokens, completionTokens, firstTokenMs, totalMs: performance.now() - from }
}
