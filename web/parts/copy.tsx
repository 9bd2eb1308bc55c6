import { useEffect, useState } from 'react'
import { Button } from './button.tsx'

const saidForMs = 2_000

/** A text to take along: a command, a key, a call. */
export function Copy({ text, label = 'Copy' }: { readonly text: string; readonly label?: string }) {
  const [said, setSaid] = useState<string | null>(null)
  useEffect(() => {
    if (said === null) return undefined
    const timer = setTimeout(() => setSaid(null), saidForMs)
    return () => clearTimeout(timer)
  }, [said])
  const copy = async () => setSaid((await toClipboard(text)) ? 'Copied' : 'Select it and copy by hand')
  return (
    <>
      <Button look="quiet" onPress={() => void copy()}>
        {said ?? label}
      </Button>
      <span className="unseen" role="status">
        {said}
      </span>
    </>
  )
}

export function CopyText({ text, label }: { readonly text: string; readonly label?: string }) {
  return (
    <div className="code">
      <code>{text}</code>
      <Copy text={text} label={label ?? 'Copy'} />
    </div>
  )
}

/** Browsers give the clipboard to pages on loopback or TLS alone. */
async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return false
  }
}
