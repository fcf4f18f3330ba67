using Nubabel.Domain.Users;

namespace Nubabel.Domain;

/// <summary>Who acts, as written on every event: <c>user:&lt;id&gt;</c>, <c>key:&lt;id&gt;</c>, <c>operator:&lt;id&gt;</c> or <c>system:&lt;name&gt;</c>.</summary>
public readonly record struct Actor(string Kind, string Name)
{
    public static Actor User(Guid id) => new("user", id.ToString("D"));
    public static Actor Key(Guid id) => new("key", id.ToString("D"));
    public static Actor Operator(Guid id) => new("operator", id.ToString("D"));
    public static Actor System(string name) => new("system", name);

    /// <summary>The data subject whose key seals this actor's personal data (address, agent): the id of the actor's stream.</summary>
    public string Subject => $"{Kind}-{Name}";

    /// <summary>Whether a user acts, and which.</summary>
    public bool IsUser(out Id<User> user)
    {
        user = default;
        return Kind == "user" && Id<User>.TryParse(Name, null, out user);
    }

    public override string ToString() => $"{Kind}:{Name}";
}
