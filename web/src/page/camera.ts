/** The camera as a series of frames. */

export class Camera {
  readonly #video = document.createElement("video");
  #stream: MediaStream | null = null;

  get runs(): boolean {
    return this.#stream !== null;
  }

  /** @throws Error where there is no camera, or it may not be used; the message says which. */
  async start(): Promise<void> {
    if (!navigator.mediaDevices) throw new Error("the camera needs a page from https:// or localhost");
    try {
      const wish = { facingMode: "environment", width: { ideal: 640 }, height: { ideal: 480 } };
      this.#stream = await navigator.mediaDevices.getUserMedia({ video: wish, audio: false });
    } catch (error) {
      const name = error instanceof DOMException ? error.name : "";
      if (name === "NotFoundError") throw new Error("there is no camera");
      if (name === "NotAllowedError") throw new Error("the camera was not allowed");
      throw error;
    }
    this.#video.muted = true;
    this.#video.playsInline = true;
    this.#video.srcObject = this.#stream;
    await this.#video.play();
  }

  frame(): Promise<ImageBitmap> {
    return createImageBitmap(this.#video);
  }

  stop(): void {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
  }
}
