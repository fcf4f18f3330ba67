using System.Buffers;
using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Metadata;
using Nubabel.Projections;

namespace Nubabel.Api.Host;

/// <summary>
/// The page a caller asks for: <c>List(Paging page, Reader db, …)</c>. It reads <c>limit</c> and <c>cursor</c>, and answers the rows of the
/// read model as they are, with <c>next</c> and <c>Link: rel="next"</c>.
/// </summary>
public sealed class Paging : IEndpointParameterMetadataProvider
{
    public const int Most = 200;
    public const int Usual = 50;
    private readonly HttpContext context;
    private readonly string question;

    private Paging(HttpContext context)
    {
        this.context = context;
        question = QuestionOf(context);
        Limit = LimitOf(context.Request.Query["limit"]);
        After = context.Request.Query["cursor"] is [{ } cursor] ? Cursors.Read(question, cursor) : null;
    }

    public int Limit { get; }

    /// <summary>The place of the last row of the page before; null for the first page.</summary>
    public IReadOnlyList<string>? After { get; }

    private Cursors Cursors => context.RequestServices.GetRequiredService<Cursors>();

    public static ValueTask<Paging?> BindAsync(HttpContext context) => ValueTask.FromResult<Paging?>(new Paging(context));

    public static void PopulateMetadata(ParameterInfo parameter, EndpointBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Metadata.Add(new PagingMetadata());
        builder.Metadata.Add(new QueryNames(["limit", "cursor"]));
    }

    public IResult Answer(Page page)
    {
        ArgumentNullException.ThrowIfNull(page);
        var next = page.Next is { } place ? Cursors.Make(question, place) : null;
        if (next is not null) context.Response.Headers.Append("Link", $"<{NextPath(next)}>; rel=\"next\"");
        return Results.Bytes(Render(page.Rows, next), "application/json");
    }

    private static byte[] Render(IReadOnlyList<ReadOnlyMemory<byte>> rows, string? next)
    {
        var buffer = new ArrayBufferWriter<byte>(rows.Sum(r => r.Length + 1) + 256);
        using var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        json.WriteStartObject();
        json.WriteStartArray("items");
        // They come from jsonb: valid JSON by construction.
        foreach (var row in rows) json.WriteRawValue(row.Span, skipInputValidation: true);
        json.WriteEndArray();
        json.WriteString("next", next);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    private string NextPath(string next)
    {
        var request = context.Request;
        var query = request.Query.Where(q => q.Key != "cursor").SelectMany(q => q.Value.Select(v => KeyValuePair.Create(q.Key, v))).Append(KeyValuePair.Create("cursor", (string?)next));
        return request.PathBase.Add(request.Path).ToUriComponent() + QueryString.Create(query).ToUriComponent();
    }

    private static int LimitOf(Microsoft.Extensions.Primitives.StringValues values)
    {
        if (values.Count == 0) return Usual;
        return values is [{ } text] && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) && limit is >= 1 and <= Most
            ? limit
            : throw Problem.At("limit", "limit.invalid", $"A page has 1 to {Most} items.");
    }

    /// <summary>Whose question about what: a cursor continues this one and no other. The page's size may change on the way.</summary>
    private static string QuestionOf(HttpContext context)
    {
        var text = new StringBuilder();
        if (context.RequestServices.GetService<RequestScope>() is { IsSignedIn: true } scope) text.Append(scope.Caller.Tenant).Append('/').Append(scope.Caller.Id);
        text.Append('\n').Append(context.Request.Path);
        foreach (var (name, values) in context.Request.Query.Where(q => q.Key is not ("limit" or "cursor")).OrderBy(q => q.Key, StringComparer.Ordinal))
            text.Append('\n').Append(Uri.EscapeDataString(name)).Append('=').AppendJoin('&', values.Select(v => Uri.EscapeDataString(v ?? "")));
        return text.ToString();
    }
}

/// <summary>The endpoint answers pages.</summary>
public sealed record PagingMetadata;
