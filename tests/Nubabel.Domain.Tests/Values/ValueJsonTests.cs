using System.Text.Json;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections;

namespace Nubabel.Domain.Tests.Values;

public sealed class ValueJsonTests
{
    private static readonly JsonSerializerOptions Strict = new(JsonSerializerDefaults.Web) { RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true };

    [Theory]
    [InlineData(typeof(DeviceName), "\"a\\nb\"", "device.name_invalid")]
    [InlineData(typeof(PublicKey), "\"\"", "device.public_key_invalid")]
    [InlineData(typeof(PublicKey), "\"\\u00e9\"", "device.public_key_invalid")]
    [InlineData(typeof(Reason), "\"\"", "reason.invalid")]
    [InlineData(typeof(Email), "\"ann\"", "email.invalid")]
    [InlineData(typeof(PersonName), "\"\"", "name.invalid")]
    [InlineData(typeof(Password), "\"short\"", "password.too_short")]
    [InlineData(typeof(OrganizationName), "\"\"", "organization.name_invalid")]
    [InlineData(typeof(Slug), "\"A\"", "organization.slug_invalid")]
    [InlineData(typeof(DeviceType), "\"toaster\"", "device.type_invalid")]
    [InlineData(typeof(DeviceType), "\"Mobile\"", "device.type_invalid")]
    [InlineData(typeof(DeviceType), "\"1\"", "device.type_invalid")]
    [InlineData(typeof(Role), "\"root\"", "user.role_invalid")]
    public void A_string_that_is_not_acceptable_carries_its_refusal(Type type, string json, string code)
    {
        var refused = Assert.IsType<Refused>(Assert.Throws<JsonException>(() => JsonSerializer.Deserialize(json, type, Strict)).InnerException);
        Assert.Equal((code, RefusalKind.Invalid), (refused.Code, refused.Kind));
    }

    [Theory]
    [InlineData("1")]
    [InlineData("true")]
    [InlineData("{}")]
    [InlineData("[\"a\"]")]
    public void Another_json_type_is_no_refusal(string json)
    {
        Type[] types = [typeof(DeviceName), typeof(PublicKey), typeof(Reason), typeof(Email), typeof(PersonName), typeof(Password), typeof(OrganizationName), typeof(Slug), typeof(DeviceType), typeof(Role), typeof(Id<Device>)];
        foreach (var type in types)
            Assert.Null(Assert.Throws<JsonException>(() => JsonSerializer.Deserialize(json, type, Strict)).InnerException as Refused);
    }

    [Fact]
    public void The_exception_names_the_member()
    {
        var at = Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<RenameOrganization>("""{"name":""}""", Strict));
        Assert.Equal("$.name", at.Path);
    }

    [Theory]
    [InlineData("""{"name":null}""")]
    [InlineData("{}")]
    public void A_missing_member_is_no_refusal(string json) =>
        Assert.IsNotType<Refused>(Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<RenameOrganization>(json, Strict)).InnerException);

    [Fact]
    public void A_command_is_its_own_body()
    {
        Assert.Equal(new ChangeDeviceKey(PublicKey.Parse("AAAA")), JsonSerializer.Deserialize<ChangeDeviceKey>("""{"publicKey":"AAAA"}""", Strict));
        Assert.Equal(new ScheduleClosure(default, null), JsonSerializer.Deserialize<ScheduleClosure>("""{"closesAt":"0001-01-01T00:00:00Z","reason":null}""", Strict));
    }

    [Fact]
    public void A_password_is_never_written() =>
        Assert.ThrowsAny<NotSupportedException>(() => JsonSerializer.Serialize(Password.Parse("correct horse battery"), StoredJson.Options));

    [Fact]
    public void A_name_comes_back_as_it_went() =>
        Check.Holds<string>(text => !DeviceName.TryParse(text, out var name) || JsonSerializer.Deserialize<DeviceName>(JsonSerializer.Serialize(name, StoredJson.Options), StoredJson.Options) == name);

    [Fact]
    public void An_id_comes_back_as_it_went() => Check.Holds<Guid>(guid =>
    {
        var id = new Id<Device>(guid);
        return Id<Device>.Parse(id.ToString()) == id && JsonSerializer.Deserialize<Id<Device>>(JsonSerializer.Serialize(id, StoredJson.Options), StoredJson.Options) == id;
    });

    [Theory]
    [InlineData("019A0000-0000-7000-8000-00000000000A")]
    [InlineData("019a0000000070008000000000000000")]
    [InlineData("{019a0000-0000-7000-8000-00000000000a}")]
    [InlineData(" 019a0000-0000-7000-8000-00000000000a")]
    [InlineData("019a0000-0000-7000-8000-00000000000a ")]
    [InlineData("device-019a0000-0000-7000-8000-00000000000a")]
    [InlineData("")]
    public void An_id_has_one_spelling(string text)
    {
        Assert.False(Id<Device>.TryParse(text, null, out _));
        Assert.Throws<FormatException>(() => Id<Device>.Parse(text));
        Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<Id<Device>>($"\"{text}\"", StoredJson.Options));
    }

    [Fact]
    public void A_public_key_is_kept_as_it_was_written()
    {
        const string Pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----";
        Assert.Equal(Pem, PublicKey.Parse(Pem + "\n").Value);
        Assert.Equal(2048, PublicKey.Parse(new string('A', 2048)).Value.Length);
        Assert.False(PublicKey.TryParse(new string('A', 2049), out _));
        Assert.False(PublicKey.TryParse("AA\0A", out _));
    }

    [Theory]
    [InlineData("""{"$p":2,"s":"user-1","c":"AA"}""")]
    [InlineData("""{"$p":1,"c":"AA"}""")]
    [InlineData("""{"$p":1,"s":"user-1"}""")]
    [InlineData("""{"$p":1,"s":"user-1","c":"AA","x":1}""")]
    [InlineData("\"ann@example.com\"")]
    public void A_personal_value_has_one_form(string json) => Assert.ThrowsAny<Exception>(() => JsonSerializer.Deserialize<Personal>(json, StoredJson.Options));

    [Fact]
    public void The_members_of_a_personal_value_come_in_any_order() =>
        Assert.Equal(new Personal("user-1", "AA"), JsonSerializer.Deserialize<Personal>("""{"c":"AA","s":"user-1","$p":1}""", StoredJson.Options));
}
