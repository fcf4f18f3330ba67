using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using Nubabel.Api.Host;

namespace Nubabel.Api.Consumers;

/// <summary>How an attempt went.</summary>
/// <param name="Status">What was answered; null where nothing was.</param>
/// <param name="Error">Why it failed, a word; null where it did not.</param>
/// <param name="Answer">The first bytes of the answer's body, as text.</param>
/// <param name="RetryAfter">What the endpoint asks for.</param>
public sealed record Attempted(DateTimeOffset At, TimeSpan Took, int? Status, string? Error, string? Answer, TimeSpan? RetryAfter);

/// <summary>
/// Calls the endpoints of consumers. Connections are made to addresses that the guard has looked at, never through a proxy of this process's environment;
/// redirects are not followed; of an answer no more than its first bytes is read.
/// </summary>
public sealed class EndpointClient : IDisposable
{
    /// <summary>From the first byte out to the last that is read.</summary>
    private static readonly TimeSpan TimeLimit = TimeSpan.FromSeconds(10);

    /// <summary>So much of an answer's body is kept.</summary>
    public const int AnswerBytes = 1024;

    /// <summary>The longest pause that an endpoint can ask for.</summary>
    private static readonly TimeSpan LongestRetryAfter = TimeSpan.FromHours(24);

    private static readonly ProductInfoHeaderValue Agent = new("Nubabel", typeof(EndpointClient).Assembly.GetName().Version?.ToString(3) ?? "1");

    private readonly EndpointGuard guard;
    private readonly TimeProvider time;
    private readonly TimeSpan limit;
    private readonly HttpClient client;

    /// <param name="limit">How long an attempt may take; 10 s unless it is said.</param>
    public EndpointClient(EndpointGuard guard, TimeProvider time, TimeSpan? limit = null)
    {
        (this.guard, this.time, this.limit) = (guard, time, limit ?? TimeLimit);
        client = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            AutomaticDecompression = DecompressionMethods.None,
            MaxResponseHeadersLength = 16,
            MaxResponseDrainSize = 16 * 1024,
            ResponseDrainTimeout = TimeSpan.FromMilliseconds(250),
            // A name that has moved is noticed within a minute.
            PooledConnectionLifetime = TimeSpan.FromMinutes(1),
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(20),
            ActivityHeadersPropagator = null,
            ConnectCallback = Connect,
        })
        { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>One attempt. It throws only when it is given up.</summary>
    public async Task<Attempted> Post(string url, ReadOnlyMemory<byte> body, IEnumerable<KeyValuePair<string, string>> headers, CancellationToken ct)
    {
        var (at, since) = (time.GetUtcNow(), Stopwatch.GetTimestamp());
        using var within = CancellationTokenSource.CreateLinkedTokenSource(ct);
        within.CancelAfter(limit);
        try
        {
            var uri = new Uri(url);
            guard.CheckUri(uri);
            using var request = new HttpRequestMessage(HttpMethod.Post, uri) { Content = new ReadOnlyMemoryContent(body) };
            request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse("application/cloudevents+json; charset=utf-8");
            request.Headers.UserAgent.Add(Agent);
            foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, within.Token);
            var status = (int)response.StatusCode;
            var answer = await Beginning(response, within.Token);
            ct.ThrowIfCancellationRequested();
            return Ended(status, status is >= 200 and < 300 ? null : status is >= 300 and < 400 ? "redirected" : "refused", answer, RetryAfter(response));
        }
        catch (Exception failure) when (!ct.IsCancellationRequested && Word(failure) is not null)
        {
            return Ended(null, Word(failure), null, null);
        }

        Attempted Ended(int? status, string? error, string? answer, TimeSpan? retryAfter) => new(at, Stopwatch.GetElapsedTime(since), status, error, answer, retryAfter);
    }

    public void Dispose() => client.Dispose();

    /// <summary>Why there was no answer. One word for all that happens behind a name, so that nobody learns from it what stands where.</summary>
    private static string? Word(Exception failure) => failure switch
    {
        OperationCanceledException or TimeoutException => "timeout",
        EndpointRefused => "address_refused",
        HttpRequestException { InnerException: EndpointRefused } => "address_refused",
        HttpRequestException { InnerException: AuthenticationException } => "certificate_invalid",
        HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } => "name_unknown",
        HttpRequestException { InnerException: SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.TryAgain or SocketError.NoData } } => "name_unknown",
        HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse or HttpRequestError.ConfigurationLimitExceeded or HttpRequestError.ResponseEnded } => "answer_invalid",
        HttpRequestException or IOException or SocketException => "connection_failed",
        _ => null,
    };

    private async ValueTask<Stream> Connect(SocketsHttpConnectionContext context, CancellationToken ct)
    {
        var addresses = await guard.Addresses(context.DnsEndPoint.Host, ct);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            // These addresses and no others: the name is not looked up once more.
            await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, ct);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>The first bytes of the body. Whatever goes wrong with them, the status has been said.</summary>
    private static async Task<string?> Beginning(HttpResponseMessage response, CancellationToken within)
    {
        var bytes = new byte[AnswerBytes];
        var read = 0;
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(within);
            while (read < bytes.Length && await body.ReadAsync(bytes.AsMemory(read), within) is var more and > 0) read += more;
        }
        catch (Exception e) when (e is OperationCanceledException or HttpRequestException or IOException)
        {
        }
        return read == 0 ? null : Text(bytes.AsSpan(0, read));
    }

    // What is no text, and what PostgreSQL does not take, shows as a dot.
    private static string Text(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        foreach (var rune in Encoding.UTF8.GetString(bytes).EnumerateRunes())
            text.Append(Rune.IsControl(rune) && rune.Value is not ('\n' or '\t') || rune == Rune.ReplacementChar ? "." : rune.ToString());
        return text.ToString();
    }

    private TimeSpan? RetryAfter(HttpResponseMessage response)
    {
        var wanted = response.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - time.GetUtcNow(),
            _ => (TimeSpan?)null,
        };
        return wanted is { } pause && pause > TimeSpan.Zero ? pause < LongestRetryAfter ? pause : LongestRetryAfter : null;
    }
}
