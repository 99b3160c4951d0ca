// A whole AT Protocol network on localhost from Bluesky's own packages (PLC, PDS, AppView with its Postgres), with a
// starter pack of twelve members, of whom four are unavailable. Writes what tests need to know to the file that
// ATNET_INFO names, and stays up until SIGTERM.
//
// Needs DB_POSTGRES_URL: an empty database. TMPDIR holds the PDS's files.
import fs from 'node:fs'
import http from 'node:http'
import { AtpAgent } from '@atproto/api'
import { TestNetwork } from '@atproto/dev-env'
import sharp from 'sharp'

process.env.REDIS_HOST ??= '127.0.0.1:1' // asked for, never connected to
const network = await TestNetwork.create({
  dbPostgresSchema: 'atnet',
  pds: { hostname: 'localhost', enableDidDocWithSession: true },
  bsky: { indexedAtEpoch: new Date('2000-01-01') }, // show when a post was indexed, not when it claims to be written
})

const people = {}
const records = {}
const now = () => new Date().toISOString()

async function join(name, profile) {
  const agent = new AtpAgent({ service: network.pds.url })
  const account = { handle: `${name}.test`, password: `${name}-pass` }
  await agent.createAccount({ ...account, email: `${name}@example.test` })
  people[name] = { ...account, did: agent.assertDid, agent }
  if (profile) await write(people[name], 'app.bsky.actor.profile', { displayName: name, ...profile }, { rkey: 'self' })
}

async function write(who, collection, record, options = {}) {
  const { data } = await who.agent.com.atproto.repo.putRecord({
    repo: who.did, collection, rkey: options.rkey ?? tid(), validate: options.validate,
    record: { $type: collection, createdAt: now(), ...record },
  })
  return { uri: data.uri, cid: data.cid }
}

let clock = Date.now() * 1000
function tid() { // a record key: microseconds, base32-sortable
  const digits = '234567abcdefghijklmnopqrstuvwxyz'
  let key = '', rest = BigInt(++clock) << 10n
  for (let i = 0; i < 13; i++) { key = digits[Number(rest & 31n)] + key; rest >>= 5n }
  return key
}

const post = async (key, who, record, options) => { records[key] = await write(who, 'app.bsky.feed.post', record, options) }
const repost = async (key, who, subject) => { records[key] = await write(who, 'app.bsky.feed.repost', { subject }) }
const image = async (who, colour) => {
  const bytes = await sharp({ create: { width: 64, height: 40, channels: 3, background: colour } }).jpeg().toBuffer()
  return (await who.agent.uploadBlob(bytes, { encoding: 'image/jpeg' })).data.blob
}
const feature = (text, part, what) => {
  const byteStart = Buffer.byteLength(text.slice(0, text.indexOf(part)))
  return { index: { byteStart, byteEnd: byteStart + Buffer.byteLength(part) }, features: [what] }
}

for (const name of ['curator', 'ana', 'bruno', 'carla', 'dora', 'emil', 'fay', 'sleepy', 'banned', 'modded', 'leaver', 'rita']) await join(name, {})
await join('bare') // has no profile record
await join('shy', { labels: { $type: 'com.atproto.label.defs#selfLabels', values: [{ val: '!no-unauthenticated' }] } })
const { curator, ana, bruno, carla, dora, emil, fay, bare, shy, sleepy, banned, modded, leaver } = people

await post('plain', ana, { text: 'plain', langs: ['en'] })
await post('backdated', ana, { text: 'written in 2023', createdAt: '2023-01-15T12:00:00.000Z' })
await post('future', ana, { text: 'written in 2035', createdAt: '2035-01-15T12:00:00.000Z' })
await post('offset', ana, { text: 'a time with an offset', createdAt: '2024-06-01T09:30:00+03:00' })
{
  const text = '🌍 olá @bruno.test, https://example.org/página #café'
  await post('facets', ana, {
    text, langs: ['pt'], tags: ['outside'],
    facets: [
      feature(text, '@bruno.test', { $type: 'app.bsky.richtext.facet#mention', did: bruno.did }),
      feature(text, 'https://example.org/página', { $type: 'app.bsky.richtext.facet#link', uri: 'https://example.org/p%C3%A1gina' }),
      feature(text, '#café', { $type: 'app.bsky.richtext.facet#tag', tag: 'café' }),
    ],
  })
}
await post('card', bruno, { text: 'a card', embed: { $type: 'app.bsky.embed.external', external: { uri: 'https://example.org/story', title: 'A story', description: 'of it' } } })
await post('pictures', bruno, { text: '', embed: { $type: 'app.bsky.embed.images', images: [{ image: await image(bruno, '#a00'), alt: 'red' }, { image: await image(bruno, '#0a0'), alt: '' }] } })
await post('gallery', bruno, {
  text: 'a gallery',
  embed: {
    $type: 'app.bsky.embed.gallery',
    items: [{ $type: 'app.bsky.embed.gallery#image', image: await image(bruno, '#111'), alt: 'dark', aspectRatio: { width: 64, height: 40 } }],
  },
})
await post('hologram', bruno, { text: 'an embed that no lexicon knows', embed: { $type: 'com.example.embed.hologram', depth: 3 } })
await post('extra', bruno, { text: 'a field that no lexicon knows', 'com.example.extra': { a: [1, 2, 3] } })
await post('quote', carla, { text: 'look', embed: { $type: 'app.bsky.embed.record', record: records.plain } })
await post('quote_with_picture', carla, {
  text: 'look and see',
  embed: { $type: 'app.bsky.embed.recordWithMedia', record: { $type: 'app.bsky.embed.record', record: records.card }, media: { $type: 'app.bsky.embed.images', images: [{ image: await image(carla, '#880'), alt: 'ochre' }] } },
})
await post('thread', dora, { text: '1/2' })
await post('reply', dora, { text: '2/2', reply: { root: records.thread, parent: records.thread } })
await post('doomed', dora, { text: 'deleted below' })
await post('reply_to_doomed', carla, { text: 'to nobody', reply: { root: records.doomed, parent: records.doomed } })
await repost('repost', emil, records.backdated)
await post('own', emil, { text: 'mine' })
await repost('repost_of_own', emil, records.own)
await repost('repost_of_doomed', emil, records.doomed)
for (const who of [bare, shy, sleepy, banned, modded, leaver]) await post(`of_${who.handle}`, who, { text: `by ${who.handle}` })
await post('no_date', bare, { text: 'no createdAt', createdAt: undefined }, { validate: false })
for (let i = 0; i < 230; i++) await post(`fay_${i}`, fay, { text: `number ${i}`, createdAt: new Date(Date.UTC(2024, 4, 1, 12, i)).toISOString() })

const list = await write(curator, 'app.bsky.graph.list', { purpose: 'app.bsky.graph.defs#referencelist', name: 'Voices' })
for (const who of [ana, bruno, carla, dora, emil, fay, bare, shy, sleepy, banned, modded, leaver]) await write(curator, 'app.bsky.graph.listitem', { list: list.uri, subject: who.did })
records.pack = await write(curator, 'app.bsky.graph.starterpack', { name: 'Voices', list: list.uri })
records.list = list
await network.processAll(60_000)

const admin = 'Basic ' + Buffer.from('admin:admin-pass').toString('base64')
async function asAdmin(server, method, body) {
  const answer = await fetch(`${server}/xrpc/com.atproto.admin.${method}`, {
    method: 'POST', headers: { authorization: admin, 'content-type': 'application/json' }, body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${method}: ${answer.status} ${await answer.text()}`)
}
const takeDown = (server, who) => asAdmin(server, 'updateSubjectStatus', {
  subject: { $type: 'com.atproto.admin.defs#repoRef', did: who.did }, takedown: { applied: true, ref: 'test' },
})
await dora.agent.com.atproto.repo.deleteRecord({ repo: dora.did, collection: 'app.bsky.feed.post', rkey: records.doomed.uri.split('/').pop() })
await sleepy.agent.com.atproto.server.deactivateAccount({})
await takeDown(network.pds.url, banned)
await takeDown(network.bsky.url, modded)
await asAdmin(network.pds.url, 'deleteAccount', { did: leaver.did })
await network.processAll(60_000)

// POST /settle answers when the AppView has indexed all that was written to the PDS; or, after a while, 503: ask again.
const control = http.createServer(async (request, response) => {
  if (request.method !== 'POST' || request.url !== '/settle') response.statusCode = 404
  else await network.processAll(60_000).catch(() => { response.statusCode = 503 })
  response.end()
})
await new Promise((done) => control.listen(0, '127.0.0.1', done))

fs.writeFileSync(`${process.env.ATNET_INFO}.part`, JSON.stringify({
  appview: network.bsky.url, pds: network.pds.url, plc: network.plc.url, control: `http://127.0.0.1:${control.address().port}`,
  accounts: Object.fromEntries(Object.entries(people).map(([name, { did, handle, password }]) => [name, { did, handle, password }])),
  records: Object.fromEntries(Object.entries(records).map(([key, { uri }]) => [key, uri])),
}, null, 1))
fs.renameSync(`${process.env.ATNET_INFO}.part`, process.env.ATNET_INFO)
process.on('SIGTERM', async () => { await network.close(); process.exit(0) })
