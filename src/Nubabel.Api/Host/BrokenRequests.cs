using System.Diagnostics;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Nubabel.Api.Host;

/// <summary>
/// What the server cannot even read as a request (a path that does not decode, <c>%00</c>, a line that is none) never comes to the edge: Kestrel answers a bare status and closes. It
/// says so first, with the response that it is about to send, and this puts the problem into it.
/// </summary>
internal sealed class BrokenRequests : IObserver<KeyValuePair<string, object?>>
{
    private const string Event = "Microsoft.AspNetCore.Server.Kestrel.BadRequest";

    private BrokenRequests() { }

    /// <summary>Nothing else is listened to: what is not asked for here costs a request nothing.</summary>
    public static IDisposable Answer(DiagnosticListener server) => server.Subscribe(new BrokenRequests(), (name, _, _) => name == Event);

    public void OnNext(KeyValuePair<string, object?> value)
    {
        if (value is not { Key: Event, Value: IFeatureCollection features } || features.Get<IHttpResponseFeature>() is not { HasStarted: false } response || features.Get<IHttpResponseBodyFeature>() is not { } body) return;
        // In HTTP/2 a connection is of many requests, and what stands here would be said to all of them.
        if (features.Get<IHttp2StreamIdFeature>() is not null || features.Get<IConnectionTransportFeature>() is not { } connection) return;
        var status = (features.Get<IBadRequestExceptionFeature>()?.Error as BadHttpRequestException)?.StatusCode ?? StatusCodes.Status400BadRequest;
        // Nothing waits for it, and nothing has to: a few hundred bytes go into the connection's buffer at once, and the server sends that before it closes.
        _ = Write(response, body, features.Get<IHttpRequestFeature>()?.Method == HttpMethods.Head ? null : connection.Transport.Output, status);
    }

    public void OnCompleted() { }

    public void OnError(Exception error) { }

    // A request that never began has no body to write to, only a head; behind that the connection is written to. A request whose line cannot be read is of no method, HEAD neither.
    private static async Task Write(IHttpResponseFeature response, IHttpResponseBodyFeature head, PipeWriter? behind, int status)
    {
        var id = Guid.CreateVersion7().ToString("D");
        response.StatusCode = status;
        // The server's own words name its parts.
        var problem = new Problem(ProblemCodes.CodeOf(response.StatusCode)) { Status = response.StatusCode };
        var bytes = Problems.Render(problem, id).WrittenMemory;
        var headers = response.Headers;
        headers.ContentType = Problems.MediaType;
        headers.ContentLength = bytes.Length;
        headers.CacheControl = "no-store";
        headers.Connection = "close";
        headers.XContentTypeOptions = "nosniff";
        headers[RequestIds.Header] = id;
        await head.StartAsync();
        if (behind is not null) await behind.WriteAsync(bytes);
    }
}
