import { useEffect, useRef, useState } from 'react'
import { type Answer, isOpen, noAnswer } from './answer.ts'
import { ask, type Question, type Turn } from './ask.ts'

/** What was asked, of which model, and what came of it. */
export interface Exchange {
  readonly id: number
  readonly asked: string
  readonly model: string
  readonly answer: Answer
}

/** One conversation; it lives as long as the page. */
export function useChat() {
  const [exchanges, setExchanges] = useState<readonly Exchange[]>([])
  const running = useRef<AbortController | null>(null)
  useEffect(() => () => running.current?.abort(), [])
  const send = (asked: string, question: Question) => {
    const id = (exchanges.at(-1)?.id ?? 0) + 1
    const ending = new AbortController()
    running.current = ending
    setExchanges((before) => [...before, { id, asked, model: question.model, answer: noAnswer }])
    const tell = (answer: Answer) =>
      setExchanges((before) => before.map((one) => (one.id === id ? { ...one, answer } : one)))
    void ask(question, ending.signal, tell)
  }
  return {
    exchanges,
    isRunning: exchanges.some(({ answer }) => isOpen(answer)),
    send,
    stop: () => running.current?.abort(),
    clear: () => {
      running.current?.abort()
      setExchanges([])
    },
  }
}

/** What was said so far: a question whose answer failed was not answered, and is left out. */
export function turnsOf(exchanges: readonly Exchange[], system: string, asked: string): Turn[] {
  const said = exchanges.filter(({ answer }) => answer.text !== '' && answer.state !== 'failed')
  return [
    ...(system.trim() === '' ? [] : [{ role: 'system' as const, content: system }]),
    ...said.flatMap((one) => [
      { role: 'user' as const, content: one.asked },
      { role: 'assistant' as const, content: one.answer.text },
    ]),
    { role: 'user', content: asked },
  ]
}
