using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Nubabel.Api.Host;
using Nubabel.Domain;

namespace Nubabel.Api.Tests.Host;

public sealed class JsonTests : IAsyncLifetime
{
    private Probe probe = null!;

    public async Task InitializeAsync() => probe = await Probe.Start(app =>
    {
        app.MapPost("/order", (Body<Order> body) => body.Value);
        app.MapPost("/note", (Body<Note>? body) => body?.Value.Text ?? "(none)");
        app.MapPost("/any", (Body<JsonElement> body) => body.Value.ValueKind.ToString());
        app.MapPost("/hash", async (HttpContext context, Body<Order> body) =>
        {
            var raw = await RawBody.Read(context);
            return $"{Convert.ToHexStringLower(SHA256.HashData(raw.Bytes.Span))} {raw.Bytes.Length} {body.Value.Count}";
        });
    }, limits: new Limits { BodyBytes = 64 * 1024 });

    public async Task DisposeAsync() => await probe.DisposeAsync();

    private const string Good = """{"name":"pen","colour":"darkBlue","count":2,"tags":["a"],"at":"2026-01-31T12:00:00+01:00"}""";

    [Fact]
    public async Task A_good_body_is_read_and_answered_in_one_spelling()
    {
        var answer = await probe.Http.PostAsync("/order", Good.AsJson());
        Assert.Equal("""{"name":"pen","colour":"darkBlue","count":2,"tags":["a"],"at":"2026-01-31T11:00:00Z"}""", await answer.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("""{"name":"pen" """, "json.malformed", "")]
    [InlineData("""{"name":"pen"} x""", "json.malformed", "")]
    [InlineData("""{"name":"pen",}""", "json.malformed", "")]
    [InlineData("""{/* c */"name":"pen"}""", "json.malformed", "")]
    [InlineData("""{"name":'pen'}""", "json.malformed", "")]
    [InlineData("null", "json.wrong_type", "")]
    [InlineData("[]", "json.wrong_type", "")]
    [InlineData("3", "json.wrong_type", "")]
    [InlineData("""{"colour":"red","count":2}""", "json.missing_member", "name")]
    [InlineData("""{"name":null,"colour":"red","count":2}""", "json.wrong_type", "name")]
    [InlineData("""{"name":7,"colour":"red","count":2}""", "json.wrong_type", "name")]
    [InlineData("""{"name":"pen","colour":"red","count":"2"}""", "json.wrong_type", "count")]
    [InlineData("""{"name":"pen","colour":"red","count":2.5}""", "json.wrong_type", "count")]
    [InlineData("""{"name":"pen","colour":"red","count":99999999999}""", "json.wrong_type", "count")]
    [InlineData("""{"name":"pen","colour":1,"count":2}""", "json.wrong_type", "colour")]
    [InlineData("""{"name":"pen","colour":"Red","count":2}""", "json.wrong_type", "colour")]
    [InlineData("""{"name":"pen","colour":"red, darkBlue","count":2}""", "json.wrong_type", "colour")]
    [InlineData("""{"name":"pen","colour":"red","count":2,"at":"2026-01-31T12:00:00"}""", "json.wrong_type", "at")]
    [InlineData("""{"name":"pen","colour":"red","count":2,"tags":["a",null]}""", "json.wrong_type", "tags[1]")]
    [InlineData("""{"name":"pen","colour":"red","count":2,"extra":1}""", "json.unknown_member", "extra")]
    [InlineData("""{"name":"pen","colour":"red","count":2,"Name":"x"}""", "json.unknown_member", "Name")]
    [InlineData("""{"name":"pen","colour":"red","count":2,"address":{"street":"x","no":1}}""", "json.unknown_member", "address.no")]
    [InlineData("""{"name":"pen","colour":"red","count":2,"name":"x"}""", "json.duplicate_member", "name")]
    [InlineData("""{"name":"pen","colour":"red","count":2,"n\u0061me":"x"}""", "json.duplicate_member", "name")]
    [InlineData("""{"address":{"street":"x","__proto__":{}}}""", "json.forbidden_member", "address.__proto__")]
    [InlineData("""{"constructor":{"prototype":1}}""", "json.forbidden_member", "constructor")]
    [InlineData("""{"tags":[1,{"\u0070rototype":1}]}""", "json.forbidden_member", "tags[1].prototype")]
    [InlineData("""{"name":"a\u0000b"}""", "json.encoding", "name")]
    [InlineData("""{"tags":["ok","\ud83d"]}""", "json.encoding", "tags[1]")]
    [InlineData("""{"tags":["ok","\ude00\ud83d"]}""", "json.encoding", "tags[1]")]
    [InlineData("""{"tags":["\ud83dx"]}""", "json.encoding", "tags[0]")]
    [InlineData("""{"a\u0000":1}""", "json.encoding", "")]
    public async Task A_body_of_another_shape_is_400_and_says_where(string body, string code, string field)
    {
        var problem = await (await probe.Http.PostAsync("/order", body.AsJson())).IsProblem(400, code);
        if (field.Length == 0) Assert.Null(problem["errors"]);
        else Assert.Equal([(field, code)], problem.Errors());
    }

    [Fact]
    public async Task A_surrogate_pair_in_escapes_is_text()
    {
        var answer = await probe.Http.PostAsync("/note", """{"text":"\ud83d\ude00 \u00e9 \\u0000 😀"}""".AsJson());
        Assert.Equal("😀 é \\u0000 😀", await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Bytes_that_are_no_utf8_are_400()
    {
        using var body = new ByteArrayContent([.. "{\"name\":\""u8, 0xC3, 0x28, .. "\"}"u8]);
        body.Headers.ContentType = new("application/json");
        await (await probe.Http.PostAsync("/order", body)).IsProblem(400, "json.encoding");
    }

    [Fact]
    public async Task All_members_at_fault_are_named_at_once()
    {
        var answer = await probe.Http.PostAsync("/order", """{"count":"x","address":{"town":1}}""".AsJson());
        var problem = await answer.IsProblem(400, "json.malformed");
        Assert.Equal([("count", "json.wrong_type"), ("address.town", "json.unknown_member"), ("address.street", "json.missing_member"),
            ("name", "json.missing_member"), ("colour", "json.missing_member")], problem.Errors());
    }

    [Fact]
    public async Task All_refused_values_are_named_at_once_with_their_own_codes()
    {
        var answer = await probe.Http.PostAsync("/order", """{"name":"","colour":"red","count":2,"address":{"street":" "},"streets":["ok",""]}""".AsJson());
        var problem = await answer.IsProblem(422, "device.name_invalid");
        Assert.Equal([("name", "device.name_invalid"), ("address.street", "device.name_invalid"), ("streets[1]", "device.name_invalid")], problem.Errors());
    }

    [Fact]
    public async Task A_wrong_shape_comes_before_a_refused_value()
    {
        var answer = await probe.Http.PostAsync("/order", """{"name":"","colour":"red","count":"2"}""".AsJson());
        Assert.Equal([("count", "json.wrong_type")], (await answer.IsProblem(400, "json.wrong_type")).Errors());
    }

    [Fact]
    public async Task Thirty_two_levels_are_read_and_thirty_three_are_not()
    {
        static string Nested(int depth) => new string('[', depth) + new string(']', depth);
        Assert.Equal("Array", await (await probe.Http.PostAsync("/any", Nested(32).AsJson())).Content.ReadAsStringAsync());
        await (await probe.Http.PostAsync("/any", Nested(33).AsJson())).IsProblem(400, "json.too_deep");
        await (await probe.Http.PostAsync("/any", Nested(20_000).AsJson())).IsProblem(400, "json.too_deep");
        await (await probe.Http.PostAsync("/any", string.Concat(Enumerable.Repeat("{\"a\":", 33)).AsJson())).IsProblem(400, "json.too_deep");
    }

    [Fact]
    public async Task A_thousand_items_are_read_and_one_more_is_not()
    {
        static string Items(int count) => $"{{\"list\":[{string.Join(',', Enumerable.Repeat("{}", count))}]}}";
        Assert.Equal("Object", await (await probe.Http.PostAsync("/any", Items(1000).AsJson())).Content.ReadAsStringAsync());
        var problem = await (await probe.Http.PostAsync("/any", Items(1001).AsJson())).IsProblem(422, "json.array_too_long");
        Assert.Equal([("list", "json.array_too_long")], problem.Errors());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_body_over_the_bound_is_413_announced_or_streamed(bool announced)
    {
        using HttpContent body = announced ? new ByteArrayContent(new byte[200_000]) : new StreamContent(new Endless(200_000));
        body.Headers.ContentType = new("application/json");
        await (await probe.Http.PostAsync("/order", body)).IsProblem(413, "request.body_too_large");
    }

    [Fact]
    public async Task A_body_of_exactly_the_bound_is_read()
    {
        var body = ("{\"text\":\"" + new string('x', 64 * 1024 - 11) + "\"}").AsJson();
        Assert.Equal(64 * 1024 - 11, (await (await probe.Http.PostAsync("/note", body)).Content.ReadAsStringAsync()).Length);
    }

    [Fact]
    public async Task An_empty_body_is_400_and_where_it_is_optional_nothing()
    {
        await (await probe.Http.PostAsync("/order", null)).IsProblem(400, "json.empty");
        await (await probe.Http.PostAsync("/order", "".AsJson())).IsProblem(400, "json.empty");
        Assert.Equal("(none)", await (await probe.Http.PostAsync("/note", null)).Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("application/json; charset=utf-16")]
    [InlineData(null)]
    public async Task Another_media_type_is_415(string? type)
    {
        using var body = new ByteArrayContent(Encoding.UTF8.GetBytes(Good));
        if (type is not null) body.Headers.TryAddWithoutValidation("Content-Type", type);
        await (await probe.Http.PostAsync("/order", body)).IsProblem(415, "request.media_type");
    }

    [Fact]
    public async Task A_compressed_body_is_415()
    {
        using var body = Good.AsJson();
        body.Headers.ContentEncoding.Add("gzip");
        await (await probe.Http.PostAsync("/order", body)).IsProblem(415, "request.media_type");
    }

    [Fact]
    public async Task The_bytes_stay_there_for_the_idempotency_check()
    {
        var answer = await probe.Http.PostAsync("/hash", Good.AsJson());
        var hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(Good)));
        Assert.Equal($"{hash} {Good.Length} 2", await answer.Content.ReadAsStringAsync());
    }

    internal enum Colour { Red, DarkBlue }

    internal sealed record Address(Street Street);

    internal sealed record Order(Street Name, Colour Colour, int Count, IReadOnlyList<string>? Tags = null, DateTimeOffset? At = null, Address? Address = null,
        IReadOnlyList<Street>? Streets = null);

    internal sealed record Note(string Text);

    [JsonConverter(typeof(StreetConverter))]
    internal sealed record Street(string Text);

    private sealed class StreetConverter : JsonConverter<Street>
    {
        public override Street Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            if (reader.TokenType != JsonTokenType.String) throw new JsonException();
            var text = reader.GetString()!;
            return text.Trim().Length > 0 ? new Street(text) : throw new JsonException(null, new Refused(RefusalKind.Invalid, "device.name_invalid", "A name is not empty."));
        }

        public override void Write(Utf8JsonWriter writer, Street value, JsonSerializerOptions options) => writer.WriteStringValue(value.Text);
    }

    /// <summary>A stream without a length, so that the client sends it in chunks.</summary>
    private sealed class Endless(long length) : Stream
    {
        private long left = length;
        public override int Read(byte[] buffer, int offset, int count)
        {
            var n = (int)Math.Min(count, left);
            left -= n;
            return n;
        }
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() { }
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
