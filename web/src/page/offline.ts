/** The service worker: threads and use without a network. */

const RELOADED = "magicpoint-reloaded";

/**
 * Starts the service worker. The first visit is not isolated, since the server did not say so; the page is loaded again
 * once, at once, and then the service worker says it.
 *
 * @param kept Is told once all files are here.
 */
export async function startOffline(kept: () => void): Promise<void> {
  if (!("serviceWorker" in navigator) || !import.meta.env.PROD) return;
  navigator.serviceWorker.addEventListener("message", ({ data }: MessageEvent<{ kept?: boolean }>) => {
    if (data.kept) kept();
  });
  try {
    await navigator.serviceWorker.register("sw.js");
    const { active } = await navigator.serviceWorker.ready;
    if (!crossOriginIsolated && !sessionStorage.getItem(RELOADED)) {
      sessionStorage.setItem(RELOADED, "yes");
      location.reload();
      return;
    }
    active?.postMessage("keep");
  } catch (error) {
    console.warn("no use without a network:", error);
  }
}
