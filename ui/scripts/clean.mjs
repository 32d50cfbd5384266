// Removes what an earlier build left, but not the page for builds without Node.
import { readdirSync, rmSync } from 'node:fs'

const dist = new URL('../dist/', import.meta.url)
for (const name of readdirSync(dist)) {
  if (name !== 'index.html') rmSync(new URL(name, dist), { recursive: true })
}
