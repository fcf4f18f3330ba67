using System.Net.Http.Json;
using System.Text.Json;

namespace Nubabel.Api.Tests.Races;

/// <summary>What a client can compare of an answer.</summary>
internal sealed record Reply(int Status, string Body, string? ETag, string? Location, string? Position, string? RetryAfter)
{
    private static readonly TimeSpan LongestLag = TimeSpan.FromSeconds(20);

    public JsonElement Json => Body.Length == 0 ? default : JsonElement.Parse(Body);

    /// <summary>The code of a problem; null for what is none.</summary>
    public string? Code => Status >= 400 ? Json.GetProperty("code").GetString() : null;

    public string Text(string member) => Json.GetProperty(member).GetString()!;

    /// <summary>A read once the read model has seen the position. Asked again where it is still on its way, as the answer says.</summary>
    public static async Task<Reply> Seen(HttpClient client, string path, string? position)
    {
        var reply = await To(client, "GET", path, minPosition: position);
        for (var began = TimeProvider.System.GetTimestamp(); reply.Code == "projection.lagging" && TimeProvider.System.GetElapsedTime(began) < LongestLag;)
            reply = await To(client, "GET", path, minPosition: position);
        return reply;
    }

    public static async Task<Reply> To(
        HttpClient client, string method, string path, object? body = null, string? key = null, string? ifMatch = null, string? ifNoneMatch = null, string? minPosition = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (body is not null) request.Content = JsonContent.Create(body);
        Add("Idempotency-Key", key);
        Add("If-Match", ifMatch);
        Add("If-None-Match", ifNoneMatch);
        Add("Nubabel-Min-Position", minPosition);
        using var response = await client.SendAsync(request);
        return new Reply(
            (int)response.StatusCode, await response.Content.ReadAsStringAsync(), response.Headers.ETag?.ToString(), response.Headers.Location?.ToString(),
            response.Headers.TryGetValues("Nubabel-Position", out var position) ? position.Single() : null, response.Headers.RetryAfter?.ToString());

        void Add(string name, string? value)
        {
            if (value is not null) request.Headers.TryAddWithoutValidation(name, value);
        }
    }
}
