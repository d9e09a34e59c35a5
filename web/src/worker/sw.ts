/**
 * The service worker: keeps the files of the page, so that it works without a network, and adds the two headers that give
 * it shared memory, and so threads, on any static host.
 */

const scope = self as unknown as ServiceWorkerGlobalScope;

/** The build puts in a digest of all files, and their names. */
const VERSION = "__VERSION__";
const FILES = JSON.parse('__FILES__') as string[];

const CACHE = `magicpoint-${VERSION}`;

scope.addEventListener("install", () => void scope.skipWaiting());
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).origin === scope.location.origin) {
    event.respondWith(serve(request));
  }
});

/** The page asks for this once it runs; the answer is whether all files are here. */
scope.addEventListener("message", (event) => {
  if (event.data !== "keep") return;
  event.waitUntil(keep().then((kept) => event.source?.postMessage({ kept })));
});

async function serve(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const known = await cache.match(request, { ignoreSearch: true });
  if (known) return isolated(known);
  const response = await fetch(request);
  if (response.status === 200) await cache.put(request.url.split(/[?#]/)[0], response.clone());
  return isolated(response);
}

/** The same with the headers for `crossOriginIsolated`. */
function isolated(response: Response): Response {
  if (response.status === 0 || response.redirected) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

async function keep(): Promise<boolean> {
  const cache = await caches.open(CACHE);
  try {
    for (const name of FILES) {
      const url = new URL(name, scope.registration.scope).href;
      if (!(await cache.match(url))) await cache.add(new Request(url, { cache: "no-cache" }));
    }
  } catch {
    return false; // the network went away; the next visit goes on
  }
  for (const name of await caches.keys()) {
    if (name.startsWith("magicpoint-") && name !== CACHE) await caches.delete(name);
  }
  return true;
}
