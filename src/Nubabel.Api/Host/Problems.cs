using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using Nubabel.Store;

namespace Nubabel.Api.Host;

/// <summary>
/// Makes every answer that is not a success an RFC 9457 problem: exceptions are caught here once, and bare statuses that the framework
/// set (unknown path, wrong method) get their body. No answer ever shows an exception, SQL or a path of this machine.
/// </summary>
public static partial class Problems
{
    public const string MediaType = "application/problem+json";

    /// <summary>The status nobody sees: the client went away. Only the access log shows it.</summary>
    internal const int ClientClosedRequest = 499;

    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    internal static IApplicationBuilder UseProblems(this IApplicationBuilder app) => app.Use(async (context, next) =>
    {
        try
        {
            await next(context);
            await Describe(context);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            if (!context.Response.HasStarted) context.Response.StatusCode = ClientClosedRequest;
        }
        catch (Exception e)
        {
            await Answer(context, e);
        }
    });

    /// <summary>Writes a problem as the answer; what was set on the response before is dropped.</summary>
    public static Task Write(HttpContext context, Problem problem)
    {
        context.Response.Clear();
        foreach (var (name, value) in problem.Headers) context.Response.Headers[name] = value;
        return WriteBody(context, problem);
    }

    private static async Task Answer(HttpContext context, Exception e)
    {
        var problem = IsCallersEnd(context, e)
            ? Authentication.Unauthorized("credential.revoked", "The account is gone.")
            : Failures.ProblemOf(e, context.Request.RouteValues.ContainsKey);
        Log(context, e, problem);
        if (context.Response.HasStarted)
        {
            // Half an answer is out; the only honest end is a broken connection, which no client takes for a whole answer.
            context.Abort();
            return;
        }
        await Write(context, problem);
    }

    /// <summary>The caller was erased while the request was under way: nothing of it can be written any more.</summary>
    private static bool IsCallersEnd(HttpContext context, Exception e) =>
        e is SubjectErased { Subject: var subject } && context.RequestServices.GetRequiredService<RequestScope>() is { IsSignedIn: true } scope && scope.Caller.Actor.Subject == subject;

    /// <summary>Gives a bare status of the framework or an endpoint its body, and keeps its headers (<c>Allow</c>).</summary>
    private static Task Describe(HttpContext context)
    {
        var response = context.Response;
        if (response.StatusCode < 400 || response.HasStarted || response.ContentLength > 0 || response.ContentType is not null) return Task.CompletedTask;
        // Nothing matched: no endpoint at all, as opposed to an endpoint that said 404 itself.
        var code = response.StatusCode == StatusCodes.Status404NotFound && context.GetEndpoint() is null ? "route.unknown" : ProblemCodes.CodeOf(response.StatusCode);
        return WriteBody(context, new Problem(code) { Status = response.StatusCode });
    }

    private static async Task WriteBody(HttpContext context, Problem problem)
    {
        var response = context.Response;
        response.StatusCode = problem.Status;
        response.ContentType = MediaType;
        response.Headers.CacheControl = "no-store";
        var body = Render(problem, context.TraceIdentifier);
        response.ContentLength = body.WrittenCount;
        if (HttpMethods.IsHead(context.Request.Method)) return;
        // Not under RequestAborted: after a timeout that is cancelled already, and this answer is what the client is owed.
        await response.Body.WriteAsync(body.WrittenMemory, CancellationToken.None);
    }

    internal static ArrayBufferWriter<byte> Render(Problem problem, string requestId)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using var json = new Utf8JsonWriter(buffer, Relaxed);
        json.WriteStartObject();
        json.WriteString("type", ProblemCodes.Base + problem.Code);
        json.WriteString("title", problem.Title);
        json.WriteNumber("status", problem.Status);
        json.WriteString("code", problem.Code);
        if (problem.Detail is { } detail) json.WriteString("detail", detail);
        json.WriteString("requestId", requestId);
        if (problem.Errors.Count > 0)
        {
            json.WriteStartArray("errors");
            foreach (var error in problem.Errors)
            {
                json.WriteStartObject();
                json.WriteString("field", error.Field);
                json.WriteString("code", error.Code);
                json.WriteString("message", error.Message);
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        foreach (var (name, value) in problem.Members)
        {
            json.WritePropertyName(name);
            JsonSerializer.Serialize(json, value, Json.Options);
        }
        json.WriteEndObject();
        json.Flush();
        return buffer;
    }

    private static void Log(HttpContext context, Exception e, Problem problem)
    {
        var log = context.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger("Nubabel.Edge");
        if (e is UnreadableEvent unreadable)
        {
            if (context.RequestServices.GetRequiredService<UnreadableEvents>().IsNew(unreadable.Position)) Unreadable(log, unreadable.Position, unreadable.Alias, unreadable.Stream, unreadable.InnerException?.GetType().Name);
            return;
        }
        if (problem.Code == "internal.error") Faulted(log, e, context.Features.Get<IHttpActivityFeature>()?.Activity.DisplayName);
        else if (problem.Status >= 500) Unavailable(log, problem.Code, e.GetType().Name, (e as Npgsql.PostgresException)?.SqlState);
    }

    [LoggerMessage(1, LogLevel.Error, "Unhandled exception in {Operation}")]
    private static partial void Faulted(ILogger log, Exception e, string? operation);

    [LoggerMessage(3, LogLevel.Error, "Event {Position} ({Alias}) of {Stream} cannot be read: {Exception}. Commands on this stream are answered stream.unreadable.")]
    private static partial void Unreadable(ILogger log, long position, string alias, string stream, string? exception);

    [LoggerMessage(2, LogLevel.Warning, "Answered {Code} after {Exception} {SqlState}")]
    private static partial void Unavailable(ILogger log, string code, string exception, string? sqlState);
}
