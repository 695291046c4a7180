#include "synth_minutiae.h"

#include <algorithm>
#include <cstring>

namespace pcc {
namespace {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;

constexpr int kUnit = 16;     // of a pixel
constexpr int kMost = 255;    // minutiae of a print
constexpr int kAttempts = 4;  // to place a minutia where none is near
constexpr int kCell = 100;    // side of the squares of which each holds one minutia at most: 6.25 pixels
constexpr int kColumns = 64, kRows = 112;
constexpr u64 kWordsOfOne = 1 << 13;    // of a finger's or an impression's own generator; no more are ever drawn
constexpr u64 kImpressionsOfOne = 256;  // of a finger
constexpr u64 kGamma = 0x9E3779B97F4A7C15;
constexpr u32 kTurn = 1 << 16;

// SplitMix64, as in datasets/draws.py.
class Words {
 public:
  Words(u64 key, u64 number) : state_(key + number * (kWordsOfOne * kGamma)) {}

  u64 next() {
    u64 z = state_ += kGamma;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  // Sum of four uniform numbers: nearly normal, at most 3.46 spreads from 0.
  s32 normal(s32 spread) {
    const u64 w = next();
    const s64 sum = s64(w & 0xFFFF) + s64(w >> 16 & 0xFFFF) + s64(w >> 32 & 0xFFFF) + s64(w >> 48) - 131070;
    return s32(sum * spread * 56756 >> 31);  // 2^31 / the spread of the sum
  }

 private:
  u64 state_;
};

// 0 <= x < bound from 16 bits.
s32 below(u64 bits, s32 bound) { return s32((bits & 0xFFFF) * u64(bound) >> 16); }
bool chance(u64 bits, s32 share) { return s32(bits & 1023) < share; }
// Sum of two uniform numbers from 32 bits: a triangle of that spread, at most 2.45 spreads from 0.
s32 triangular(u64 bits, s32 spread) {
  return s32((s64(bits & 0xFFFF) + s64(bits >> 16 & 0xFFFF) - 65535) * spread * 80265 >> 31);
}
s32 square(s64 v) { return s32(v * v); }

struct Minutia {
  s32 x, y;
  u16 angle;
  u8 type, strength;
};

struct Flow {
  u8 pattern;
  s32 arching, pad_width, pad_height, flattening;
  int points;
  std::array<s32, kSingularPoints> sign, x, y;
};

struct Master {
  Flow flow;
  u8 capture;
  int count;
  std::array<Minutia, kMost> minutiae;
};

s32 sine(const FingerTables& t, u32 angle) { return t.sine[(angle & (kTurn - 1)) >> 6]; }
s32 cosine(const FingerTables& t, u32 angle) { return sine(t, angle + kTurn / 4); }

// v, or -v where all bits of `where` are set (else none is).
u32 negated(u32 v, u32 where) { return (v ^ where) - where; }

// Of the vector (x, y), y upward, to 1/8 degree.
u32 direction(const FingerTables& t, s32 x, s32 y) {
  const u32 left = u32(x >> 31), down = u32(y >> 31);
  const u32 across = negated(u32(x), left), up = negated(u32(y), down);
  const u32 steep = 0 - u32(up > across);
  u32 angle = t.arctangent[(std::min(across, up) << 8) / std::max({across, up, 1u})];
  angle = (steep & kTurn / 4) + negated(angle, steep);
  angle = (left & kTurn / 2) + negated(angle, left);
  return negated(angle, down) & (kTurn - 1);
}

// The same to half a degree, without branches and division: most of the time of a finger goes here.
inline u32 coarse_direction(const FingerTables& t, s32 x, s32 y) {
  const u32 left = u32(x >> 31), down = u32(y >> 31);
  const u32 across = negated(u32(x), left), up = negated(u32(y), down);
  const int shift = 26 - __builtin_clz(across | up | 32);  // leaves six bits
  const u32 angle = (left & kTurn / 2) + negated(t.quadrant[(up >> shift) * 64 + (across >> shift)], left);
  return negated(angle, down);
}

// Direction of the ridges, 0 to kTurn / 2: half the sum of the angles seen from cores less those seen from deltas
// (Sherlock and Monro 1993), of a pattern drawn out in height; for plain arches the slope of a hump that is highest
// over the middle and flat at the ends.
u32 ridge(const FingerTables& t, const Flow& f, s32 x, s32 y) {
  if (f.points == 0) {
    const s32 along = std::clamp(x * 1024 / f.pad_width, -1024, 1024);  // 1024: the edge of the pad
    const s32 rise = std::clamp(1024 - std::abs(y * 768 / f.pad_height), 256, 1024);
    const s32 slope = -f.arching * sine(t, u32(along * 32)) / 16384 * rise / 1024;  // times 256
    return direction(t, 256, slope) % (kTurn / 2);
  }
  u32 sum = 0;
  for (int i = 0; i < f.points; ++i)
    sum += u32(f.sign[i]) * coarse_direction(t, (x - f.x[i]) * 16, (f.y[i] - y) * f.flattening);
  return t.steepened[(sum & (kTurn - 1)) >> 6];
}

template <class Weights>
int draw(u64 bits, int count, Weights weight) {
  s32 total = 0;
  for (int i = 0; i < count; ++i) total += weight(i);
  s32 left = s32((bits & 0xFFFFFFFF) * u64(total) >> 32);
  int i = 0;
  while (left >= weight(i)) left -= weight(i++);
  return i;
}

s32 varied(Words& words, s32 value, s32 spread) { return value + s32(s64(value) * words.normal(spread) / 1024); }

// ---- masters

Flow make_flow(const FingerTables& t, Words& words, u32 finger) {
  const FingerModel& m = t.model;
  const int hand = finger % 10 >= 5;  // positions 1-5 are of the right hand
  Flow f{};
  f.pattern = u8(draw(words.next(), kPatterns, [&](int i) { return t.patterns[i].share[hand]; }));
  const Pattern& p = t.patterns[f.pattern];
  f.pad_width = std::max(varied(words, m.pad_width, m.pad_spread), m.pad_width / 2);
  f.pad_height = std::max(varied(words, m.pad_height, m.pad_spread), m.pad_height / 2);
  f.arching = varied(words, p.arching, 256);
  f.flattening = 16 * 1024 / m.steepness;
  for (const SingularPoint& point : p.points) {
    if (point.sign == 0) continue;
    f.sign[f.points] = point.sign;
    f.x[f.points] = point.x * kUnit + words.normal(point.spread_x * kUnit);
    f.y[f.points++] = point.y * kUnit + words.normal(point.spread_y * kUnit);
  }
  return f;
}

// Which squares of the finger are free.
class Squares {
 public:
  bool taken(s32 x, s32 y) const { return rows_[row(y)] >> column(x) & 1; }
  void take(s32 x, s32 y, bool with_neighbours) {
    const int r = row(y), c = column(x);
    const u64 three = u64{7} << c >> 1, mine = u64{1} << c;
    rows_[r - 1] |= with_neighbours ? three : 0;
    rows_[r] |= with_neighbours ? three : mine;
    rows_[r + 1] |= with_neighbours ? three : 0;
  }

 private:
  static int row(s32 y) { return std::clamp((y + kRows * kCell / 2) / kCell, 1, kRows - 2); }
  static int column(s32 x) { return std::clamp((x + kColumns * kCell / 2) / kCell, 0, kColumns - 1); }
  u64 rows_[kRows] = {};
};

// Where a point lies in an ellipse: 0 its middle, 65536 its edge.
struct Ellipse {
  s32 x, y, width, height;  // half width and half height
  s32 across, down;         // 2^24 over these

  static Ellipse at(s32 x, s32 y, s32 width, s32 height) {
    return {x, y, width, height, (1 << 24) / width, (1 << 24) / height};
  }
  s32 edge(s32 px, s32 py) const {
    return square(std::clamp(((px - x) * s64(across)) >> 16, s64{-512}, s64{512})) +
           square(std::clamp(((py - y) * s64(down)) >> 16, s64{-512}, s64{512}));
  }
  s32 area() const { return s32(s64(width / kUnit) * (height / kUnit) * 201 / 64); }  // square pixels; pi in 1/64
};

void make_master(const FingerTables& t, u32 finger, Master& out) {
  const FingerModel& m = t.model;
  Words words(t.master_key, finger);
  out.flow = make_flow(t, words, finger);
  const Flow& f = out.flow;
  out.capture = u8(draw(words.next(), int(t.captures.size()), [&](int i) { return t.captures[i].share; }));
  const Ellipse pad = Ellipse::at(0, 0, f.pad_width, f.pad_height);
  const s64 density = std::max(varied(words, m.density, m.density_spread), 0);
  const s32 wanted = s32(std::min<s64>(pad.area() * density / 1000000, kMost));
  const s32 crowding = wanted * m.crowding / 1024, reach = m.crowding_radius * kUnit;
  Squares squares;
  int count = 0;
  for (s32 i = 0; i < wanted; ++i) {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const u64 w = words.next(), v = words.next();
      s32 x, y;
      if (i < crowding) {  // about a singular point, or the middle where there is none
        const int point = f.points ? below(v, f.points) : 0;
        x = f.x[point] + triangular(w, reach);
        y = f.y[point] + triangular(w >> 32, reach);
      } else {
        x = below(w, 2 * f.pad_width) - f.pad_width;
        y = below(w >> 16, 2 * f.pad_height) - f.pad_height;
      }
      if ((pad.edge(x, y) > 65536) | squares.taken(x, y)) continue;
      squares.take(x, y, chance(v >> 16, m.spacing));
      out.minutiae[size_t(count++)] = {x, y, 0, u8(2 - chance(v >> 26, m.endings)), u8(v >> 36)};
      break;
    }
  }
  for (int i = 0; i < count; ++i) {
    Minutia& p = out.minutiae[size_t(i)];
    const u32 angle = ridge(t, f, p.x, p.y);
    // Of the two directions along the ridge, that which points down the finger is the more frequent.
    const bool down = below(words.next(), 16384) >= 8192 - sine(t, angle) * m.downward / 2048;
    p.angle = u16(angle + (down ? kTurn / 2 : 0) + u32(words.normal(m.direction_spread)));
  }
  out.count = count;
}

// ---- impressions

struct Pose {
  Ellipse contact;           // in the master's frame
  s32 sine, cosine, turn;    // turn: counter-clockwise as seen, 1/65536
  s32 to_x, to_y;            // where the contact's middle lies in the image
  s32 bend_x[3], bend_y[3];  // plastic distortion: times x x, x y, y y of 128 pixels

  void place(Minutia& p) const {
    const s32 u = p.x / kUnit, v = p.y / kUnit;
    const s32 dx = (bend_x[0] * u * u + bend_x[1] * u * v + bend_x[2] * v * v) >> 14;
    const s32 dy = (bend_y[0] * u * u + bend_y[1] * u * v + bend_y[2] * v * v) >> 14;
    // The distortion's own rotation, half its curl: 65536 / 4 pi / 16 units / 2^14 is 326 / 2^14.
    const s32 curl = (2 * bend_y[0] - bend_x[1]) * u + (bend_y[1] - 2 * bend_x[2]) * v;
    const s32 x = p.x + dx - contact.x, y = p.y + dy - contact.y;
    p.x = to_x + ((cosine * x + sine * y) >> 14);
    p.y = to_y + ((cosine * y - sine * x) >> 14);
    p.angle = u16(p.angle + turn - ((curl * 326) >> 14));
  }
};

class Impression {
 public:
  Impression(const FingerTables& t, const Master& master, u64 number)
      : t_(t), m_(t.model), c_(t.captures[master.capture]), master_(master), words_(t.impression_key, number) {}

  void make(Prints& out) {
    pose();
    for (int i = 0; i < master_.count; ++i) keep(i);
    invent();
    write(out);
  }

 private:
  void pose() {
    const Flow& f = master_.flow;
    quality_ = std::clamp(c_.quality + words_.normal(c_.quality_spread), 0, 255);
    const s32 share = std::clamp(words_.normal(c_.contact_spread), -512, 512);
    const s32 width = s32(s64(f.pad_width) * std::max(c_.contact_width + share, 256) / 1024);
    const s32 height = s32(s64(f.pad_height) * std::max(c_.contact_height + share, 256) / 1024);
    const s32 x = words_.normal(c_.shift_x), y = words_.normal(c_.shift_y);
    p_.contact = Ellipse::at(x, y, width, height);
    p_.turn = words_.normal(c_.rotation);
    p_.sine = sine(t_, u32(p_.turn));
    p_.cosine = cosine(t_, u32(p_.turn));
    p_.to_x = c_.width * kUnit / 2 + words_.normal(c_.steadiness);
    p_.to_y = c_.height * kUnit / 2 + words_.normal(c_.steadiness);
    for (s32* bend : {p_.bend_x, p_.bend_y})
      for (int i = 0; i < 3; ++i) bend[i] = words_.normal(m_.bend);
  }

  void keep(int number) {
    Minutia p = master_.minutiae[number];
    const s32 edge = p_.contact.edge(p.x, p.y);
    const u64 w = words_.next();
    if (edge > 65536) return;
    const s32 likely = m_.keep + ((quality_ - 128) * m_.keep_quality + (p.strength - 128) * m_.keep_strength) / 128 -
                       (square(edge >> 8) >> 8) * m_.edge / 256;
    if (!chance(w, std::max(likely, 16))) return;
    const u64 v = words_.next();
    const s32 wide = chance(w >> 10, m_.outliers) ? 3 : 1;
    p.x += triangular(v, m_.jitter * wide);
    p.y += triangular(v >> 32, m_.jitter * wide);
    p.angle = u16(p.angle + words_.normal(m_.angle_jitter * wide));
    p.type = chance(w >> 20, m_.confusion) ? u8(3 - p.type) : p.type;
    p.type = chance(w >> 30, m_.other) ? 0 : p.type;
    add(p, number, p.strength, edge, w >> 40);
  }

  // Spurious minutiae: more on poor prints, some close to others, all along the ridges.
  void invent() {
    const int real = count_;
    const Ellipse& contact = p_.contact;
    const s64 mean = s64(contact.area()) * c_.spurious * (288 - quality_) / (160 * 1000000LL);
    const u64 w = words_.next();
    const int wanted = int(std::min<s64>((mean * (512 + s64(w & 1023)) + s64(w >> 10 & 1023)) >> 10, kMost));
    const int clustered = real ? wanted * m_.clustered / 1024 : 0;
    for (int i = 0; i < wanted && count_ < kMost; ++i) {
      const u64 v = words_.next(), u = words_.next();
      Minutia p{};
      if (i < clustered) {
        const Minutia& near = master_.minutiae[size_t(origin_[size_t(below(u >> 16, real))])];
        const s32 distance = 6 * kUnit + below(v, 8 * kUnit);
        p.x = near.x + distance * sine(t_, u32(v >> 16 & 0xFFFF)) / 16384;
        p.y = near.y + distance * cosine(t_, u32(v >> 16 & 0xFFFF)) / 16384;
      } else {
        p.x = contact.x + below(v, 2 * contact.width) - contact.width;
        p.y = contact.y + below(v >> 16, 2 * contact.height) - contact.height;
      }
      const s32 edge = p_.contact.edge(p.x, p.y);
      if (edge > 65536) continue;
      const u32 angle = ridge(t_, master_.flow, p.x, p.y) + (u & 1024 ? kTurn / 2 : 0);
      p.angle = u16(angle + u32(words_.normal(2 * m_.angle_jitter)));
      p.type = u8(u >> 12 & 1 ? 1 : 2);
      if (chance(u >> 32, 2 * m_.other)) p.type = 0;
      add(p, -1, below(v >> 48, 176), edge, u >> 48);
    }
  }

  void add(Minutia p, int origin, s32 strength, s32 edge, u64 bits) {
    p_.place(p);
    const s32 x = (p.x + kUnit / 2) >> 4, y = (p.y + kUnit / 2) >> 4;
    if (x < 0 || y < 0 || x >= c_.width || y >= c_.height || count_ == kMost) return;
    // Of 1 to 100: as strong as the minutia, as good as the print, less towards the edge.
    const s32 mix = 3 * strength + 4 * quality_ + below(bits << 8, 256) - (square(edge >> 8) >> 8);
    x_[count_] = s16(x);
    y_[count_] = s16(y);
    angle_[count_] = u8((p.angle + 128) >> 8);
    type_[count_] = p.type;
    quality_of_[count_] = u8(std::clamp(mix * 100 / (7 * 256), 1, 100));
    origin_[count_++] = s16(origin);
  }

  // Keys y, x, number in ascending order: into rows of a 128th of the height first, then by insertion.
  void sort(u64* order) const {
    std::array<u8, 129> first{};
    std::array<u8, kMost> row;
    const u32 scale = (u32{128} << 16) / u32(c_.height);
    for (size_t i = 0; i < size_t(count_); ++i) ++first[1 + (row[i] = u8(u32(y_[i]) * scale >> 16))];
    for (size_t k = 1; k < first.size(); ++k) first[k] = u8(first[k] + first[k - 1]);
    for (size_t i = 0; i < size_t(count_); ++i) order[first[row[i]]++] = u64(y_[i]) << 32 | u64(x_[i]) << 8 | u64(i);
    for (int i = 1; i < count_; ++i) {
      const u64 key = order[i];
      int k = i;
      for (; k > 0 && order[k - 1] > key; --k) order[k] = order[k - 1];
      order[k] = key;
    }
  }

  // From top to bottom, as extractors tend to list them; no two at one place.
  void write(Prints& out) const {
    std::array<u64, kMost + 1> order;
    sort(order.data());
    const auto same = [](u64 a, u64 b) { return a >> 8 == b >> 8; };
    const int kept = int(std::unique(order.begin(), order.begin() + count_, same) - order.begin());
    const auto put = [&](auto& column, const auto& values) {
      const size_t before = column.size();
      column.resize(before + size_t(kept));
      for (int k = 0; k < kept; ++k) column[before + size_t(k)] = values[order[k] & 255];
    };
    put(out.x, x_);
    put(out.y, y_);
    put(out.angle, angle_);
    put(out.type, type_);
    put(out.quality, quality_of_);
    put(out.origin, origin_);
    out.offsets.push_back(out.x.size());
    out.pattern.push_back(master_.flow.pattern);
    out.capture.push_back(master_.capture);
    out.print_quality.push_back(u8(quality_));
    Minutia origin{};
    p_.place(origin);
    out.rotation.push_back(s16(p_.turn));
    out.origin_x.push_back(s16(origin.x >> 4));
    out.origin_y.push_back(s16(origin.y >> 4));
  }

  const FingerTables& t_;
  const FingerModel& m_;
  const Capture& c_;
  const Master& master_;
  Words words_;
  Pose p_{};
  s32 quality_ = 0;
  int count_ = 0;
  std::array<s16, kMost> x_, y_, origin_;
  std::array<u8, kMost> angle_, type_, quality_of_;
};

}  // namespace

void complete(FingerTables& t) {
  for (s32 up = 0; up < 64; ++up)
    for (s32 across = 0; across < 64; ++across) t.quadrant.push_back(u16(direction(t, 2 * across + 1, 2 * up + 1)));
  for (u32 k = 0; k < 1024; ++k) {
    const u32 angle = k * (kTurn / 2048);
    t.steepened.push_back(u16(direction(t, cosine(t, angle), sine(t, angle) * t.model.steepness / 1024)));
  }
}

FlowMap make_flow_map(const FingerTables& t, u32 finger, int step, int rows, int columns) {
  Words words(t.master_key, finger);
  const Flow f = make_flow(t, words, finger);
  FlowMap out{f.pattern, f.pad_width / kUnit, f.pad_height / kUnit, {}, {}};
  for (int i = 0; i < f.points; ++i)
    out.points.insert(out.points.end(), {f.sign[size_t(i)], f.x[size_t(i)] / kUnit, f.y[size_t(i)] / kUnit});
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c)
      out.directions.push_back(
          u16(ridge(t, f, (2 * c + 1 - columns) * step * kUnit / 2, (2 * r + 1 - rows) * step * kUnit / 2)));
  return out;
}

Prints make_masters(const FingerTables& t, u32 first, u32 count) {
  Prints out;
  Master master;
  for (u32 k = 0; k < count; ++k) {
    make_master(t, first + k, master);
    for (int i = 0; i < master.count; ++i) {
      const Minutia& p = master.minutiae[i];
      out.x.push_back(s16(p.x >> 4));
      out.y.push_back(s16(p.y >> 4));
      out.angle.push_back(u8((p.angle + 128) >> 8));
      out.type.push_back(p.type);
      out.quality.push_back(p.strength);
      out.origin.push_back(s16(i));
    }
    out.offsets.push_back(out.x.size());
    out.pattern.push_back(master.flow.pattern);
    out.capture.push_back(master.capture);
    out.print_quality.push_back(0);
    out.rotation.push_back(0);
    out.origin_x.push_back(0);
    out.origin_y.push_back(0);
  }
  return out;
}

Prints make_impressions(const FingerTables& t, u32 first, u32 count, u32 first_impression, u32 impressions) {
  Prints out;
  Master master;
  for (u32 k = 0; k < count; ++k) {
    make_master(t, first + k, master);
    for (u32 i = 0; i < impressions; ++i)
      Impression(t, master, (first + u64(k)) * kImpressionsOfOne + first_impression + i).make(out);
  }
  return out;
}

}  // namespace pcc
