import { Link } from '@tanstack/react-router'
import { StateMark } from '../parts/mark.tsx'
import { Failed } from '../parts/problem.tsx'
import { count } from '../words/counts.ts'
import { plainText } from '../words/plain-text.ts'
import { type Answer, isOpen, tokensPerS } from './answer.ts'
import look from './playground.module.css'
import type { Exchange } from './use-chat.ts'

const longestShown = 1_000_000

/** One question, its answer as it grows, and what it took. `nodeId`: of the node that served it, while it is there. */
export function ExchangeView({ of, nodeId }: { readonly of: Exchange; readonly nodeId: string | null }) {
  const { asked, model, answer } = of
  return (
    <article className={look['exchange']}>
      <p className={look['asked']}>{asked}</p>
      <div className={look['answer']} aria-busy={isOpen(answer)}>
        {answer.thought !== '' && (
          <details>
            <summary className="soft">What the model said to itself</summary>
            <p className={`soft ${look['text']}`}>{plainText(answer.thought, longestShown)}</p>
          </details>
        )}
        <p className={look['text']}>{plainText(answer.text, longestShown)}</p>
        {answer.failure && (
          <Failed failure={answer.failure} {...(answer.requestId ? { requestId: answer.requestId } : {})} />
        )}
      </div>
      <p className={look['took']} role="status">
        <Shape answer={answer} />
        <span>{model}</span>
        <Figures answer={answer} />
        {answer.node && (
          <span>
            served by{' '}
            {nodeId ? (
              <Link className="link" to="/nodes/$id" params={{ id: nodeId }}>
                {answer.node}
              </Link>
            ) : (
              answer.node
            )}
          </span>
        )}
      </p>
    </article>
  )
}

function Shape({ answer: { state } }: { readonly answer: Answer }) {
  if (state === 'complete') return <StateMark shape="good">complete</StateMark>
  if (state === 'failed') return <StateMark shape="bad">failed</StateMark>
  if (state === 'stopped') return <StateMark shape="between">stopped</StateMark>
  return <StateMark shape="busy">{state === 'waiting' ? 'waiting for the first token' : 'streaming'}</StateMark>
}

/** Only once it is over: figures that change with each token are noise, and a screen reader would read each. */
function Figures({ answer }: { readonly answer: Answer }) {
  const { firstTokenMs, tokens, isCounted } = answer
  if (isOpen(answer) || firstTokenMs === null) return null
  const speed = tokensPerS(answer)
  return (
    <>
      <span>first token after {count(Math.round(firstTokenMs))} ms</span>
      <span>
        {isCounted ? '' : 'about '}
        {count(tokens)} tokens
      </span>
      {speed !== null && <span>{speed.toFixed(1)} tokens/s</span>}
    </>
  )
}
