using System.Buffers;

namespace Nubabel.Api.Host;

/// <summary>
/// The body of a request as bytes, read once within its bound and kept for whoever needs it: the binder, and the idempotency check, which
/// keeps a keyed hash of it. The buffer is pooled and goes back when the request ends, so don't keep <see cref="Bytes"/>.
/// </summary>
public sealed class RawBody : IDisposable
{
    private const int FirstBufferBytes = 4096;
    private byte[] buffer;
    private int length;

    private RawBody(byte[] buffer) => this.buffer = buffer;

    public ReadOnlyMemory<byte> Bytes => buffer.AsMemory(0, length);

    /// <summary>Reads the body unless that has been done. A body over the bound is 413, whether announced or streamed.</summary>
    public static ValueTask<RawBody> Read(HttpContext context)
    {
        if (context.Features.Get<RawBody>() is { } read) return ValueTask.FromResult(read);
        return ReadFirst(context, context.RequestServices.GetRequiredService<Settings>().Limits.BodyBytes);
    }

    private static async ValueTask<RawBody> ReadFirst(HttpContext context, int most)
    {
        var announced = context.Request.ContentLength;
        if (announced > most) throw TooLarge(most);
        var body = new RawBody(ArrayPool<byte>.Shared.Rent((int)(announced ?? FirstBufferBytes) + 1));
        context.Response.RegisterForDispose(body);
        while (true)
        {
            if (body.length == body.buffer.Length) body.Grow();
            var count = await context.Request.Body.ReadAsync(body.buffer.AsMemory(body.length), context.RequestAborted);
            if (count == 0) break;
            body.length += count;
            if (body.length > most) throw TooLarge(most);
        }
        context.Features.Set(body);
        return body;
    }

    public void Dispose()
    {
        if (buffer.Length == 0) return;
        // A body may hold a password; the next one to rent this buffer shall not find it.
        ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
        buffer = [];
        length = 0;
    }

    private void Grow()
    {
        var larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
        buffer.AsSpan(0, length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
        buffer = larger;
    }

    private static Problem TooLarge(int most) => new("request.body_too_large", $"The body is larger than {most} bytes.");
}
